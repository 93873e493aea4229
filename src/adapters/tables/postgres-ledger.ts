import { applyMigrations } from './migrate.ts';
import type { PostgresOptions } from './postgres-connection.ts';
import { connectPostgres } from './postgres-database.ts';

/** Names of the schema changes that the database has, in order; none where the tables are not there. Reads only. */
export async function readPostgresLedger(options: PostgresOptions): Promise<readonly string[]> {
  const database = connectPostgres(options, 'reader');
  try {
    const [ledger] = await database.all(`SELECT to_regclass('migrations') IS NOT NULL AS is_there`, []);
    if (!['t', 'true'].includes(String(ledger?.is_there))) return [];
    const rows = await database.all('SELECT name FROM migrations ORDER BY number', []);
    return rows.map(({ name }) => String(name));
  } finally {
    await database.close();
  }
}

/** Applies the schema changes that the database lacks, up to this one and it too; each whole or not at all. */
export async function migratePostgres(options: PostgresOptions, nowMs: number, upTo: string): Promise<void> {
  const database = connectPostgres(options, 'writer');
  try {
    await applyMigrations(database, nowMs, { upTo });
  } finally {
    await database.close();
  }
}
