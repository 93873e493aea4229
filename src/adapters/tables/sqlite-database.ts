import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { makePrivate } from '../../config/private-file.ts';
import { storeError } from '../../core/store-error.ts';
import type { SqlDatabase, SqlInsert, SqlSchemaOwner } from './sql-database.ts';
import { SqliteCheckpoints } from './sqlite-checkpoints.ts';

const BUSY_MS_MAX = 5_000;
/**
 * Memory for pages, of the writer. A transaction of 2,000 rows changes about 20 MiB; what has no room (SQLite's own
 * bound is 2 MiB) is written before its end, and read and written again.
 */
const CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** Of a new file: rows of 1.5 KB fit four to a page, and 8 KiB took a tenth less CPU than SQLite's own 4 KiB. */
const PAGE_BYTES = 8192;
/** Far more than there are different statements. */
const PREPARED_MAX = 256;

/**
 * Opens a file of SQLite. SQLite runs in this thread, so calls of several callers never lie between the statements of a
 * transaction; pages go into the file by a thread of their own.
 */
export function openSqliteDatabase(
  file: string,
  { isReadOnly }: { readonly isReadOnly: boolean },
): SqlDatabase & SqlSchemaOwner {
  const guarded = <T>(call: () => T): T => guard(file, call);
  const database = guarded(() => open(file, isReadOnly));
  const prepare = preparer(database);
  const checkpoints = isReadOnly ? null : guarded(() => new SqliteCheckpoints(file, database));
  const write = async <T>(call: () => T): Promise<T> => {
    await checkpoints?.room().catch((error: unknown) => Promise.reject(storeError(error, `tables ${file}`)));
    return guarded(() => {
      const result = inTransaction(database, call);
      checkpoints?.advance();
      return result;
    });
  };
  return {
    all: async (sql, values) => guarded(() => prepare(sql).all(...values)),
    insert: inserts =>
      write(() => {
        for (const insert of inserts) insertRows(prepare(insertSql(insert)), insert);
      }),
    change: statements =>
      write(() => {
        let changed = 0;
        for (const { sql, values } of statements) changed += Number(prepare(sql).run(...values).changes);
        return changed;
      }),
    async alone(call) {
      guarded(() => database.exec('BEGIN IMMEDIATE'));
      try {
        const result = await call({
          all: async (sql, values) => guarded(() => database.prepare(sql).all(...values)),
          run: async script => guarded(() => database.exec(script)),
        });
        guarded(() => database.exec('COMMIT'));
        return result;
      } finally {
        if (database.isTransaction) database.exec('ROLLBACK');
      }
    },
    sizeBytes: async () => guarded(() => sizeOf(file) + sizeOf(`${file}-wal`)),
    async close() {
      await checkpoints?.close();
      database.close();
    },
  };
}

function open(file: string, isReadOnly: boolean): DatabaseSync {
  if (!isReadOnly) makePrivate(file);
  const database = new DatabaseSync(file, { readOnly: isReadOnly, timeout: BUSY_MS_MAX });
  if (isReadOnly) return database;
  // The size of pages comes first: it says nothing once the file is made.
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY');
  // Negative: in units of 1024 bytes rather than pages.
  database.exec(`PRAGMA cache_size = -${CACHE_BYTES_MAX / 1024}`);
  return database;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Prepares each statement once. */
function preparer(database: DatabaseSync): (sql: string) => StatementSync {
  const prepared = new Map<string, StatementSync>();
  return sql => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    if (prepared.size >= PREPARED_MAX) prepared.clear();
    const statement = database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
}

function insertSql({ table, columns }: SqlInsert): string {
  const names = columns.map(column => `"${column}"`).join(', ');
  const places = columns.map(() => '?').join(', ');
  return `INSERT INTO ${table} (${names}) VALUES (${places}) ON CONFLICT DO NOTHING`;
}

function insertRows(statement: StatementSync, { rows }: SqlInsert): void {
  for (const values of rows) statement.run(...values);
}

/** Runs the call in one write transaction: everything it changed is durable when it returns, or nothing is. */
function inTransaction<T>(database: DatabaseSync, call: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = call();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // A full disk may have rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function guard<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storeError(error, `tables ${file}`);
  }
}
