import type { TableReader } from '../../core/ports.ts';
import { applyMigrations } from './migrate.ts';
import type { PostgresOptions } from './postgres-connection.ts';
import { connectPostgres } from './postgres-database.ts';
import { createTableReader, type ReaderContext } from './table-reader.ts';
import { createTableStore, type OpenTables } from './table-store.ts';

/**
 * Connects to the tables and brings their schema up to date, one process at a time; `nowMs` goes into the
 * migration ledger. Throws ERR_STORE_UNAVAILABLE, ERR_STORE_AUTH, ERR_STORE_RIGHTS, ERR_STORE_READ_ONLY,
 * ERR_STORE_FULL and ERR_DATA_FORMAT; later calls but the last the same.
 */
export async function openPostgresTables(options: PostgresOptions, nowMs: number): Promise<OpenTables> {
  const database = connectPostgres(options, 'writer');
  try {
    await applyMigrations(database, nowMs);
  } catch (error) {
    await database.close();
    throw error;
  }
  return createTableStore(database);
}

/** Look-ups in the tables, which must exist at the first call; connects then. */
export function openPostgresReader(options: PostgresOptions, context: ReaderContext): TableReader {
  return createTableReader(connectPostgres(options, 'reader'), context);
}
