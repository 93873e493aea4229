import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import type { ArchiveEntry, ArchiveIndex, ObjectStore, TableStore } from '../../src/core/ports.ts';
import { RELATIONS, type TableRow } from '../../src/core/relations.ts';
import { collect } from '../collect.ts';
import { createMemoryObjects, createMemoryTables } from './memory-stores.ts';

// What the simulation relies on: its stores must do as the real ones do.

const OBJECTS: Readonly<Record<string, (test: TestContext) => Promise<ObjectStore>>> = {
  memory: async () => createMemoryObjects(),
  local: test => openLocalObjects(join(folder(test), 'archive')),
};

const TABLES: Readonly<Record<string, (test: TestContext) => Promise<TableStore & ArchiveIndex>>> = {
  memory: async () => createMemoryTables(),
  sqlite: async test => {
    const tables = await openTables(join(folder(test), 'tables.sqlite'), 0);
    test.after(() => tables.close());
    return tables;
  },
};

function folder(test: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-sim-stores-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function rowAt(offset: number, receivedAtMs: number): TableRow {
  const columns: Record<string, string | number> = {
    dataset: 'd',
    topic: 't',
    partition: 0,
    offset,
    received_at: receivedAtMs,
    raw: '{}',
  };
  return { relation: 'events', values: RELATIONS.events.map(column => columns[column] ?? null) };
}

for (const [name, open] of Object.entries(OBJECTS)) {
  describe(`objects in ${name}`, () => {
    it('are created once, read back and listed by name', async test => {
      const objects = await open(test);
      assert.equal(await objects.create('a/2.zst', Buffer.from('two')), true);
      assert.equal(await objects.create('a/1.zst', Buffer.from('one')), true);
      assert.equal(await objects.create('b/1.zst', Buffer.from('three')), true);
      assert.equal(await objects.create('a/1.zst', Buffer.from('other')), false);
      assert.equal(Buffer.from(await objects.read('a/1.zst')).toString(), 'one');
      assert.deepEqual(await collect(objects.list('a/')), [
        { name: 'a/1.zst', sizeBytes: 3 },
        { name: 'a/2.zst', sizeBytes: 3 },
      ]);
      await assert.rejects(objects.read('a/3.zst'), { code: 'ERR_NOT_FOUND' });
    });
  });
}

for (const [name, open] of Object.entries(TABLES)) {
  describe(`tables in ${name}`, () => {
    it('take a row once and let the oldest go', async test => {
      const tables = await open(test);
      await tables.insert([rowAt(0, 10), rowAt(1, 20), rowAt(2, 30)]);
      await tables.insert([rowAt(1, 20), rowAt(3, 40)]);
      assert.equal(await tables.expire(35, 2), 2);
      assert.equal(await tables.expire(35, 2), 1);
      assert.equal(await tables.expire(35, 2), 0);
      assert.equal(await tables.expire(1000, 10), 1);
    });

    it('keep the first entry of an object', async test => {
      const tables = await open(test);
      const entry: ArchiveEntry = {
        object: 'a',
        topic: 't',
        partition: 0,
        fromOffset: 0,
        toOffset: 2,
        records: 2,
        sizeBytes: 9,
        sha256: 'x',
        date: '2024-06-10',
        part: 1,
        parts: 1,
        epoch: 1,
        runs: [{ fromOffset: 0, toOffset: 2 }],
      };
      await tables.addEntries([entry]);
      await tables.addEntries([{ ...entry, epoch: 2 }]);
      assert.deepEqual(await tables.findEntry('a'), entry);
      assert.equal(await tables.findEntry('b'), undefined);
    });
  });
}
