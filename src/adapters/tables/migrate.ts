import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { SchemaSession, SqlSchemaOwner } from './sql-database.ts';

/** Where the numbered schema changes lie: `NNNN-what.sql`, from 0001 without gaps. */
const MIGRATIONS_DIRECTORY = path.join(import.meta.dirname, 'migrations');

const LEDGER = `
  CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (number)
  )`;

/**
 * Applies the schema changes that the database lacks, in order, each in a transaction of its own with its line
 * in the ledger; of processes that start at once each change is made by one, the others wait. Throws
 * ERR_DATA_FORMAT where the database knows changes that this version does not.
 */
export async function applyMigrations(database: SqlSchemaOwner, nowMs: number): Promise<void> {
  const known = readdirSync(MIGRATIONS_DIRECTORY)
    .filter(name => /^\d{4}-.*\.sql$/.test(name))
    .sort();
  // Each round applies one of the known changes, so it ends.
  while (await database.alone(session => applyNext(session, known, nowMs)));
}

/** Applies the first change that is missing; false where none is. */
async function applyNext(session: SchemaSession, known: readonly string[], nowMs: number): Promise<boolean> {
  await session.run(LEDGER);
  const [row] = await session.all('SELECT coalesce(max(number), 0) AS number FROM migrations', []);
  const applied = Number(row?.number);
  if (applied > known.length) {
    const why = `the tables are at schema change ${applied}, this version knows ${known.length}`;
    throw new MillraceError('ERR_DATA_FORMAT', why);
  }
  const name = known[applied];
  if (name === undefined) return false;
  await session.run(readFileSync(path.join(MIGRATIONS_DIRECTORY, name), 'utf8'));
  await session.all('INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?) RETURNING number', [
    applied + 1,
    name,
    nowMs,
  ]);
  return true;
}
