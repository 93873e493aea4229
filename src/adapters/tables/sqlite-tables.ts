import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { ArchiveEntry, ArchiveIndex, TableStore } from '../../core/ports.ts';
import { RELATIONS, type RelationName, type TableRow } from '../../core/relations.ts';
import { storeError } from '../../core/store-error.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { ENTRY_COLUMNS, entryOf, valuesOfEntry } from './archive-rows.ts';
import { applyMigrations, inTransaction } from './migrate.ts';

const BUSY_MS_MAX = 5_000;
/** The write-ahead file is cut back to this at a checkpoint: a long query lets it grow for as long as it runs. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;

/** The tables of an environment, opened for writing; there is one writer. */
export interface SqliteTables extends TableStore, ArchiveIndex {
  close(): void;
}

/** Opens, or creates, the tables and brings their schema up to date. `nowMs` goes into the migration ledger. */
export function openTables(file: string, nowMs: number): SqliteTables {
  return guarded(file, () => {
    const database = new DatabaseSync(file, { timeout: BUSY_MS_MAX });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY');
    database.exec(`PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`);
    applyMigrations(database, nowMs);
    return tablesOver(database, file);
  });
}

function tablesOver(database: DatabaseSync, file: string): SqliteTables {
  const inserts = prepareEach(database, insertSql);
  const expiries = prepareEach(database, expireSql);
  const addEntry = database.prepare(insertOnceSql('archive_objects', ENTRY_COLUMNS));
  const findEntry = database.prepare('SELECT * FROM archive_objects WHERE object = ?');
  return {
    async insert(rows) {
      failpoint('tables.beforeTransaction');
      guarded(file, () => inTransaction(database, () => insertRows(inserts, rows)));
      failpoint('tables.afterTransaction');
    },
    async expire(receivedBeforeMs, rowsMax) {
      return guarded(file, () =>
        inTransaction(database, () => {
          let deleted = 0;
          for (const statement of Object.values(expiries)) {
            deleted += Number(statement.run(receivedBeforeMs, rowsMax).changes);
          }
          return deleted;
        }),
      );
    },
    async addEntries(entries) {
      guarded(file, () =>
        inTransaction(database, () => {
          for (const entry of entries) addEntry.run(...valuesOfEntry(entry));
        }),
      );
    },
    async findEntry(object): Promise<ArchiveEntry | undefined> {
      const row = guarded(file, () => findEntry.get(object));
      return row === undefined ? undefined : entryOf(row);
    },
    close() {
      database.close();
    },
  };
}

function insertRows(inserts: Readonly<Record<RelationName, StatementSync>>, rows: readonly TableRow[]): void {
  for (const { relation, values } of rows) inserts[relation].run(...values);
}

function prepareEach(
  database: DatabaseSync,
  sqlOf: (relation: RelationName) => string,
): Readonly<Record<RelationName, StatementSync>> {
  const prepare = (relation: RelationName): StatementSync => database.prepare(sqlOf(relation));
  return {
    events: prepare('events'),
    failed: prepare('failed'),
    duplicates: prepare('duplicates'),
    audit: prepare('audit'),
    assess: prepare('assess'),
    dropped: prepare('dropped'),
  };
}

function insertSql(relation: RelationName): string {
  return insertOnceSql(relation, RELATIONS[relation]);
}

function insertOnceSql(table: string, columns: readonly string[]): string {
  const names = columns.map(column => `"${column}"`).join(', ');
  const places = columns.map(() => '?').join(', ');
  return `INSERT INTO ${table} (${names}) VALUES (${places}) ON CONFLICT DO NOTHING`;
}

/** Oldest first, by the index on `received_at`: each chunk costs what it deletes. */
function expireSql(relation: RelationName): string {
  const columns: readonly string[] = RELATIONS[relation];
  const key = `topic, partition, "offset"${columns.includes('event_index') ? ', event_index' : ''}`;
  return `
    DELETE FROM ${relation} WHERE (${key}) IN (
      SELECT ${key} FROM ${relation} WHERE received_at < ? ORDER BY received_at LIMIT ?
    )`;
}

function guarded<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storeError(error, `tables ${file}`);
  }
}
