import { DatabaseSync } from 'node:sqlite';
import { makePrivate } from '../../config/private-file.ts';
import type { JsonObject } from '../../core/event.ts';
import type { CacheKey, Dataset } from '../../core/job.ts';
import type { Cache } from '../../core/ports.ts';
import { storeError } from '../../core/store-error.ts';
import { RowMemory } from './row-memory.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS master_rows (
    dataset TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (dataset, key)
  ) WITHOUT ROWID`;
const SELECT =
  'SELECT key, value FROM master_rows WHERE dataset = ? AND key IN (SELECT value FROM json_each(?))';
const UPSERT = `
  INSERT INTO master_rows (dataset, key, value) VALUES (?, ?, ?)
  ON CONFLICT (dataset, key) DO UPDATE SET value = excluded.value`;
const BUSY_MS_MAX = 5_000;

/** The one writer of the master data; hand `version` to the readers of other threads. */
export interface CacheOwner extends Cache {
  readonly version: SharedArrayBuffer;
}

/** What jobs read the master data through. */
export type CacheReader = Pick<Cache, 'get' | 'close'>;

/** Opens, or creates, the master data for writing. Its own `get` reads the file each time. */
export function openCacheOwner(file: string): CacheOwner {
  const version = new SharedArrayBuffer(4);
  const counter = new Int32Array(version);
  return guarded(file, () => {
    makePrivate(file);
    const database = new DatabaseSync(file, { timeout: BUSY_MS_MAX });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec(SCHEMA);
    const select = database.prepare(SELECT);
    const upsert = database.prepare(UPSERT);
    return {
      version,
      async get(keys) {
        const found = new Map<string, JsonObject | undefined>();
        guarded(file, () => readRows(select, keys, found));
        return keys.map(key => found.get(memoryKey(key)));
      },
      async put(dataset, rows) {
        guarded(file, () => {
          inTransaction(database, () => {
            for (const { key, value } of rows) upsert.run(dataset, key, JSON.stringify(value));
          });
        });
        Atomics.add(counter, 0, 1);
      },
      async close() {
        database.close();
      },
    };
  });
}

/**
 * Opens the master data for reading in another thread than its owner's. Keeps what it read in memory, absence
 * too, until the owner's version moves: a row is seen by every `get` that begins after its `put` resolved.
 * Rows are shared between callers and must not be changed.
 */
export function openCacheReader(
  file: string,
  version: SharedArrayBuffer,
  limits: { readonly rowsMax: number; readonly bytesMax: number },
): CacheReader {
  const counter = new Int32Array(version);
  const memory = new RowMemory(limits);
  let seenVersion = Atomics.load(counter, 0);
  return guarded(file, () => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS_MAX });
    const select = database.prepare(SELECT);
    return {
      async get(keys) {
        // Read before the rows: a put in between makes the next call drop them once more, never keep stale ones.
        const nowVersion = Atomics.load(counter, 0);
        if (nowVersion !== seenVersion) memory.clear();
        seenVersion = nowVersion;
        return guarded(file, () => readThrough(memory, select, keys));
      },
      async close() {
        database.close();
      },
    };
  });
}

type Select = ReturnType<DatabaseSync['prepare']>;

function readThrough(
  memory: RowMemory,
  select: Select,
  keys: readonly CacheKey[],
): readonly (JsonObject | undefined)[] {
  // The answer is gathered apart from the memory, which may be smaller than one call.
  const found = new Map<string, JsonObject | undefined>();
  const missing: CacheKey[] = [];
  for (const key of keys) {
    const name = memoryKey(key);
    if (found.has(name)) continue;
    const held = memory.find(name);
    found.set(name, held?.row);
    if (held === undefined) missing.push(key);
  }
  const sizes = readRows(select, missing, found);
  for (const key of missing) {
    const name = memoryKey(key);
    memory.keep(name, { row: found.get(name), sizeBytes: name.length + (sizes.get(name) ?? 0) });
  }
  return keys.map(key => found.get(memoryKey(key)));
}

/** Adds the rows of the keys to `found`: one SELECT per dataset. Returns the lengths of their texts. */
function readRows(
  select: Select,
  keys: readonly CacheKey[],
  found: Map<string, JsonObject | undefined>,
): Map<string, number> {
  const sizes = new Map<string, number>();
  const byDataset = new Map<Dataset, string[]>();
  for (const { dataset, key } of keys) {
    const wanted = byDataset.get(dataset);
    if (wanted === undefined) byDataset.set(dataset, [key]);
    else wanted.push(key);
  }
  for (const [dataset, wanted] of byDataset) {
    for (const row of select.iterate(dataset, JSON.stringify(wanted))) {
      const name = memoryKey({ dataset, key: String(row.key) });
      const text = String(row.value);
      found.set(name, JSON.parse(text));
      sizes.set(name, text.length);
    }
  }
  return sizes;
}

function memoryKey(key: CacheKey): string {
  return `${key.dataset}\0${key.key}`;
}

function inTransaction(database: DatabaseSync, call: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    call();
    database.exec('COMMIT');
  } catch (error) {
    // A full disk may have rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function guarded<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storeError(error, `master data ${file}`);
  }
}
