import assert from 'node:assert/strict';
import type { ArchiveEntry, ArchiveIndex, TableStore } from '../../src/core/ports.ts';
import { RELATIONS, type TableRow } from '../../src/core/relations.ts';

/** What the sinks rely on, of an empty store; the simulation's too. */
export const STORE_CONTRACT: Readonly<Record<string, (tables: TableStore & ArchiveIndex) => Promise<void>>> =
  {
    'they take a row once and let the oldest go': async tables => {
      await tables.insert([rowAt(0, 10), rowAt(1, 20), rowAt(2, 30)]);
      await tables.insert([rowAt(1, 20), rowAt(3, 40)]);
      assert.equal(await tables.expire(35, 2), 2);
      assert.equal(await tables.expire(35, 2), 1);
      assert.equal(await tables.expire(35, 2), 0);
      assert.equal(await tables.expire(1000, 10), 1);
    },

    'new rows among known ones are taken, again and again': async tables => {
      const some = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => rowAt(from + i, from + i));
      await tables.insert(some(0, 10));
      await tables.insert(some(5, 15));
      await tables.insert(some(12, 20));
      await tables.insert(some(20, 30));
      await tables.insert(some(30, 40));
      await tables.insert(some(0, 41));
      assert.equal(await tables.expire(1000, 1000), 41);
    },

    'they take a row that comes twice in one call, and no rows at all': async tables => {
      await tables.insert([rowAt(0, 10), rowAt(0, 10)]);
      await tables.insert([]);
      await tables.addEntries([]);
      assert.equal(await tables.expire(1000, 10), 1);
    },

    'they keep the first entry of an object': async tables => {
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
    },
  };

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
