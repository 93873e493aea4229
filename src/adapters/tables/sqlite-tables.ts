import type { TableReader } from '../../core/ports.ts';
import { keepMidsByWindow } from './mid-windows.ts';
import { applyMigrations } from './migrate.ts';
import { openSqliteDatabase } from './sqlite-database.ts';
import { createTableReader, type ReaderContext } from './table-reader.ts';
import { createTableStore, type OpenTables } from './table-store.ts';

/** Opens, or creates, the tables and brings their schema up to date. `nowMs` goes into the migration ledger. */
export async function openTables(file: string, nowMs: number): Promise<OpenTables> {
  const database = openSqliteDatabase(file, { isReadOnly: false });
  try {
    await applyMigrations(database, nowMs);
    await keepMidsByWindow(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return createTableStore(database);
}

/** Creates the database where it is missing, and applies the schema changes up to one of them; none: no table. */
export async function migrateTables(file: string, nowMs: number, upTo: string | null): Promise<void> {
  const database = openSqliteDatabase(file, { isReadOnly: false });
  try {
    if (upTo !== null) await applyMigrations(database, nowMs, { upTo });
  } finally {
    await database.close();
  }
}

/** Opens the tables, which must exist, for look-ups that an index serves. */
export function openTableReader({
  file,
  ...context
}: ReaderContext & { readonly file: string }): TableReader {
  return createTableReader(openSqliteDatabase(file, { isReadOnly: true }), context);
}
