import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import type { ArchiveIndex, ObjectStore, TableStore } from '../../src/core/ports.ts';
import { collect } from '../collect.ts';
import { STORE_CONTRACT } from '../sinks/store-contract.ts';
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
    for (const [claim, check] of Object.entries(STORE_CONTRACT)) {
      it(claim, async test => check(await open(test)));
    }
  });
}
