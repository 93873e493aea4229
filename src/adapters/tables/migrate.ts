import { createHash } from 'node:crypto';
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
  );
  CREATE TABLE IF NOT EXISTS migration_digests (
    number INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (number)
  )`;

/**
 * Applies the schema changes that the database lacks, in order, each in a transaction of its own with its line
 * in the ledger; of processes that start at once each change is made by one, the others wait. Throws
 * ERR_DATA_FORMAT where the database knows changes that this version does not, or knows one of them otherwise: what
 * was applied is never edited, what follows relies on it.
 */
export async function applyMigrations(
  database: SqlSchemaOwner,
  nowMs: number,
  { directory = MIGRATIONS_DIRECTORY, upTo }: MigrationRange = {},
): Promise<void> {
  const known = migrationNames(directory);
  const wanted = known.filter(name => upTo === undefined || name <= upTo);
  const next: NextMigration = { directory, known, wanted, nowMs };
  // Each round applies one of the wanted changes, so it ends.
  while (await database.alone(session => applyNext(session, next)));
}

/** Which schema changes, where not all that ship. */
export interface MigrationRange {
  readonly directory?: string;
  /** Name of the last one to apply. */
  readonly upTo?: string | undefined;
}

/** File names of the schema changes, in order. */
export function migrationNames(directory: string = MIGRATIONS_DIRECTORY): readonly string[] {
  return readdirSync(directory)
    .filter(name => /^\d{4}-.*\.sql$/.test(name))
    .sort();
}

interface NextMigration {
  readonly directory: string;
  readonly known: readonly string[];
  readonly wanted: readonly string[];
  readonly nowMs: number;
}

/** Applies the first change that is missing; false where none is. */
async function applyNext(session: SchemaSession, next: NextMigration): Promise<boolean> {
  const { directory, known, wanted, nowMs } = next;
  await session.run(LEDGER);
  const [row] = await session.all('SELECT coalesce(max(number), 0) AS number FROM migrations', []);
  const applied = Number(row?.number);
  if (applied > known.length) {
    const why = `the tables are at schema change ${applied}, this version knows ${known.length}`;
    throw new MillraceError('ERR_DATA_FORMAT', why);
  }
  await checkApplied(session, next, applied);
  const name = wanted[applied];
  if (name === undefined) return false;
  for (const statement of statementsOf(readFileSync(path.join(directory, name), 'utf8'))) {
    await runStatement(session, name, statement);
  }
  await insertDigest(session, { number: applied + 1, sha256: digestOf(directory, name) });
  await session.all('INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?) RETURNING number', [
    applied + 1,
    name,
    nowMs,
  ]);
  return true;
}

/** Refuses a change that is another file now than when it was applied; a ledger without digests is given them. */
async function checkApplied(session: SchemaSession, next: NextMigration, applied: number): Promise<void> {
  const rows = await session.all('SELECT number, sha256 FROM migration_digests', []);
  const digests = new Map(rows.map(row => [Number(row.number), String(row.sha256)]));
  for (const [at, name] of next.known.slice(0, applied).entries()) {
    const sha256 = digestOf(next.directory, name);
    const before = digests.get(at + 1);
    if (before === undefined) await insertDigest(session, { number: at + 1, sha256 });
    else if (before !== sha256) {
      const why = `the schema change ${name} was applied with another content (SHA-256 ${before.slice(0, 12)}…)`;
      throw new MillraceError('ERR_DATA_FORMAT', why, {
        remedy: 'Use the release that has it as it was; a further change of the schema is a file of its own.',
      });
    }
  }
}

async function insertDigest(
  session: SchemaSession,
  { number, sha256 }: { readonly number: number; readonly sha256: string },
): Promise<void> {
  const sql = 'INSERT INTO migration_digests (number, sha256) VALUES (?, ?) RETURNING number';
  await session.all(sql, [number, sha256]);
}

/** Line ends do not count: a checkout may change them. */
function digestOf(directory: string, name: string): string {
  const text = readFileSync(path.join(directory, name), 'utf8').replaceAll('\r\n', '\n');
  return createHash('sha256').update(text).digest('hex');
}

/** Says which statement of which change failed; nothing of the change stays. */
async function runStatement(session: SchemaSession, name: string, statement: string): Promise<void> {
  try {
    await session.run(statement);
  } catch (cause) {
    const code = cause instanceof MillraceError ? cause.code : 'ERR_STORE_UNAVAILABLE';
    const said = cause instanceof MillraceError ? cause.why : String(cause);
    throw new MillraceError(code, `${name}: ${said}, at the statement:\n${statement.trim()}`, {
      cause,
      remedy: 'Nothing of this change was kept. Mend its cause and run it again: it begins with this change.',
    });
  }
}

/** Cuts a script into statements: each ends with a semicolon at the end of a line, outside comments and texts. */
function statementsOf(script: string): readonly string[] {
  const statements: string[] = [];
  let statement = '';
  for (const line of script.split('\n')) {
    const code = line.replace(/--.*$/, '').trimEnd();
    statement += `${line}\n`;
    if (!code.endsWith(';')) continue;
    statements.push(statement);
    statement = '';
  }
  return statement.trim() === '' ? statements : [...statements, statement];
}
