import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Config } from '../../config/options.ts';
import type { QueryDocument } from '../../core/documents.ts';
import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import type { QueryRunner } from '../../core/ports.ts';
import { READABLE_RELATIONS } from '../../core/relations.ts';
import { nameOf, type PostgresOptions, withClient } from './postgres-connection.ts';
import { messageOf, postgresError, sqlStateOf } from './postgres-error.ts';
import { ANSWER_BYTES_MAX, distinctNames } from './query-answer.ts';
import { QueryTurns } from './query-turns.ts';

/** What a query may take. */
type QueryLimits = Pick<
  Config,
  'query.timeoutMs' | 'query.rowsMax' | 'query.memoryBytesMax' | 'query.concurrentMax'
>;

const FETCH_ROWS = 200;
const SETUP_MS_MAX = 30_000;
const KIB = 1024;
const INTEGER_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 26]);
const REAL_OIDS: ReadonlySet<number> = new Set([700, 701, 1700]);

/**
 * Runs the SQL of users as a role of its own, `<user>_reader`, which may read the relations and nothing else. The
 * role gets a password that only this process knows, so no setting that a query changes outlives its connection
 * or gives it a right. Throws ERR_STORE_RIGHTS where the user may not make the role.
 */
export async function createPostgresQueryRunner(
  options: PostgresOptions,
  limits: QueryLimits,
): Promise<QueryRunner> {
  const reader = { ...options, username: `${options.username}_reader`, password: drawPassword() };
  await makeReader(options, reader);
  const turns = new QueryTurns(limits['query.concurrentMax']);
  return {
    async run(sql) {
      const endMs = performance.now() + limits['query.timeoutMs'];
      await turns.take(AbortSignal.timeout(limits['query.timeoutMs']));
      try {
        const leftMs = Math.max(1, Math.ceil(endMs - performance.now()));
        return await runAsReader(reader, sql, { ...limits, 'query.timeoutMs': leftMs });
      } finally {
        turns.give();
      }
    },
    async close() {
      turns.close();
    },
  };
}

function drawPassword(): string {
  return randomBytes(24).toString('base64url');
}

/** Makes the role, or gives it the new password, and grants what it may read. */
async function makeReader(options: PostgresOptions, reader: PostgresOptions): Promise<void> {
  const use = { statementMsMax: SETUP_MS_MAX, isReadOnly: false };
  await withClient(options, use, async client => {
    const role = client.escapeIdentifier(reader.username);
    const password = `LOGIN PASSWORD ${client.escapeLiteral(reader.password)}`;
    const found = 'SELECT rolsuper FROM pg_roles WHERE rolname = $1';
    const [known] = (await client.query<{ rolsuper: unknown }>(found, [reader.username])).rows;
    if (known !== undefined && known.rolsuper !== 'f') {
      throw new MillraceError('ERR_STORE_RIGHTS', `role ${reader.username} may do everything`, {
        remedy: `Drop it, or take its rights: ALTER ROLE ${role} NOSUPERUSER.`,
      });
    }
    const bounds = 'NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION';
    await client.query(
      known === undefined ? `CREATE ROLE ${role} ${bounds} ${password}` : `ALTER ROLE ${role} ${password}`,
    );
    const relations = READABLE_RELATIONS.map(name => client.escapeIdentifier(name)).join(', ');
    await client.query(`GRANT SELECT ON ${relations} TO ${role}`);
  });
}

async function runAsReader(
  reader: PostgresOptions,
  sql: string,
  limits: QueryLimits,
): Promise<QueryDocument> {
  const use = { statementMsMax: limits['query.timeoutMs'], isReadOnly: true };
  return withClient(reader, use, async client => {
    try {
      return await fetchAll(client, sql, limits);
    } catch (error) {
      throw queryError(error, { sql, limits, what: nameOf(reader) });
    }
  });
}

/** A cursor takes one SELECT and nothing that writes, and hands its rows over in parts. */
async function fetchAll(client: pg.Client, sql: string, limits: QueryLimits): Promise<QueryDocument> {
  const memoryKib = Math.max(64, Math.floor(limits['query.memoryBytesMax'] / KIB / 4));
  await client.query(`BEGIN READ ONLY; SET LOCAL work_mem = ${memoryKib}`);
  // Its snapshot is what keeps the transaction from being made one that writes.
  await client.query('SELECT 1');
  // By the extended protocol, which takes one statement.
  const declare = { text: `DECLARE answer NO SCROLL CURSOR FOR ${sql}`, queryMode: 'extended' };
  await client.query(declare);
  const rows: Record<string, unknown>[] = [];
  let columns: QueryDocument['columns'] = [];
  let bytes = 0;
  const rowsMax = limits['query.rowsMax'];
  // Ends with the rows, or with what an answer may hold.
  while (true) {
    const part = await client.query<unknown[]>({ text: `FETCH ${FETCH_ROWS} FROM answer`, rowMode: 'array' });
    const names = distinctNames(part.fields.map(field => field.name));
    columns = part.fields.map((field, at) => ({ name: names[at]!, type: typeOf(field.dataTypeID) }));
    for (const values of part.rows) {
      const row = Object.fromEntries(names.map((name, at) => [name, values[at]]));
      bytes += JSON.stringify(row).length;
      if (rows.length === rowsMax || bytes > ANSWER_BYTES_MAX)
        return { columns, rows, truncated: true } as QueryDocument;
      rows.push(row);
    }
    if (part.rows.length < FETCH_ROWS) return { columns, rows, truncated: false } as QueryDocument;
  }
}

function typeOf(oid: number): 'integer' | 'real' | 'text' {
  if (INTEGER_OIDS.has(oid)) return 'integer';
  return REAL_OIDS.has(oid) ? 'real' : 'text';
}

/** Errors of the query itself are its author's; all others are the store's. */
function queryError(
  error: unknown,
  { sql, limits, what }: { readonly sql: string; readonly limits: QueryLimits; readonly what: string },
): MillraceError {
  const state = sqlStateOf(error) ?? '';
  const code = codeOf(state, sql);
  if (code === undefined) return postgresError(error, what);
  const why =
    code === 'ERR_QUERY_TIMEOUT'
      ? `it was not done after ${limits['query.timeoutMs']} ms`
      : messageOf(error).replace(/\s+/g, ' ');
  return new MillraceError(code, why, { cause: error });
}

function codeOf(state: string, sql: string): ErrorCode | undefined {
  if (state === '57014') return 'ERR_QUERY_TIMEOUT';
  if (state === '53200' || state === '54000') return 'ERR_QUERY_MEMORY';
  if (state === '42501' || state === '25006') return 'ERR_QUERY_FORBIDDEN';
  if (!/^(?:22|42|0A|21|54)/.test(state)) return undefined;
  return /^\s*(?:\(|select|with|values|table)\b|^\s*\(/i.test(sql)
    ? 'ERR_QUERY_INVALID'
    : 'ERR_QUERY_FORBIDDEN';
}
