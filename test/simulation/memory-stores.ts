import assert from 'node:assert/strict';
import { MillraceError } from '../../src/core/errors.ts';
import type { ArchiveEntry, ArchiveIndex, ObjectStore, TableStore } from '../../src/core/ports.ts';
import { RELATIONS, type TableRow } from '../../src/core/relations.ts';

/** An object store in memory; its contents outlive whoever uses it. */
export function createMemoryObjects(): ObjectStore & { readonly objects: ReadonlyMap<string, Uint8Array> } {
  const objects = new Map<string, Uint8Array>();
  return {
    objects,
    async create(name, bytes) {
      if (objects.has(name)) return false;
      objects.set(name, Buffer.from(bytes));
      return true;
    },
    async read(name) {
      const bytes = objects.get(name);
      if (bytes === undefined) throw new MillraceError('ERR_NOT_FOUND', `no object ${JSON.stringify(name)}`);
      return Buffer.from(bytes);
    },
    async *list(prefix) {
      for (const name of [...objects.keys()].filter(key => key.startsWith(prefix)).sort()) {
        yield { name, sizeBytes: objects.get(name)!.length };
      }
    },
  };
}

/** Tables and archive index in memory. A row that comes again must be the row that is there: replays change nothing. */
export function createMemoryTables(): TableStore &
  ArchiveIndex & { readonly rows: ReadonlyMap<string, TableRow> } {
  const rows = new Map<string, TableRow>();
  const entries = new Map<string, ArchiveEntry>();
  return {
    rows,
    async insert(added) {
      for (const row of added) {
        const known = rows.get(keyOf(row));
        if (known === undefined) rows.set(keyOf(row), row);
        else assert.deepEqual(row, known, 'a replayed row is the row that was stored');
      }
    },
    async expire(receivedBeforeMs, rowsMax) {
      const old = [...rows].filter(([, row]) => Number(columnOf(row, 'received_at')) < receivedBeforeMs);
      const gone = Object.keys(RELATIONS).flatMap(relation =>
        old.filter(([, row]) => row.relation === relation).slice(0, rowsMax),
      );
      for (const [key] of gone) rows.delete(key);
      return gone.length;
    },
    async addEntries(added) {
      for (const entry of added) if (!entries.has(entry.object)) entries.set(entry.object, entry);
    },
    async findEntry(object) {
      return entries.get(object);
    },
  };
}

/** A column of a row. */
function columnOf(row: TableRow, column: string) {
  const columns: readonly string[] = RELATIONS[row.relation];
  return row.values[columns.indexOf(column)] ?? null;
}

function keyOf(row: TableRow): string {
  const key = ['topic', 'partition', 'offset', 'event_index'].map(column => columnOf(row, column));
  return `${row.relation} ${key.join(':')}`;
}
