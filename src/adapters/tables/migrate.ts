import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '../../core/errors.ts';

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
 * in the ledger. Throws ERR_DATA_FORMAT where the database knows changes that this version does not.
 */
export function applyMigrations(database: DatabaseSync, nowMs: number): void {
  database.exec(LEDGER);
  const known = readdirSync(MIGRATIONS_DIRECTORY)
    .filter(name => /^\d{4}-.*\.sql$/.test(name))
    .sort();
  const row = database.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get();
  const applied = Number(row?.number);
  if (applied > known.length) {
    const why = `the tables are at schema change ${applied}, this version knows ${known.length}`;
    throw new MillraceError('ERR_DATA_FORMAT', why);
  }
  const record = database.prepare('INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)');
  for (let number = applied + 1; number <= known.length; number++) {
    const name = known[number - 1]!;
    const sql = readFileSync(path.join(MIGRATIONS_DIRECTORY, name), 'utf8');
    inTransaction(database, () => {
      database.exec(sql);
      record.run(number, name, nowMs);
    });
  }
}

/** Runs the call in one write transaction: everything it changed is durable when it returns, or nothing is. */
export function inTransaction<T>(database: DatabaseSync, call: () => T): T {
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
