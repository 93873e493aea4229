import pg from 'pg';
import { assert } from '../../core/errors.ts';
import type { ColumnValue } from '../../core/relations.ts';
import { clientConfig, nameOf, numbered, type PostgresOptions, withClient } from './postgres-connection.ts';
import { postgresError } from './postgres-error.ts';
import { encodeText } from './postgres-text.ts';
import type { SqlDatabase, SqlInsert, SqlRow, SqlSchemaOwner } from './sql-database.ts';

/** Who uses the connections: two sinks that write, or the look-ups of the process. */
export type PostgresRole = 'writer' | 'reader';

/** Rows of one statement: with 10,000 of 1.5 KB it holds 15 MB in the client and the server. */
const INSERT_ROWS_MAX = 10_000;
const IDLE_MS_MAX = 30_000;
/** A schema change may rewrite the indexes of all rows, and the next process waits for as long. */
const MIGRATION_MS_MAX = 3_600_000;
/** `mill` in ASCII, and which of our locks. */
const MIGRATION_LOCK = '1835625580, 1';

/**
 * A pool of connections, opened as they are needed: no server is asked before the first call. The writer has at
 * most two (each sink writes one batch at a time), the reader the rest of `poolMax`.
 */
export function connectPostgres(options: PostgresOptions, role: PostgresRole): SqlDatabase & SqlSchemaOwner {
  const writers = Math.min(2, options.poolMax - 1);
  const use = { statementMsMax: options.statementMsMax, isReadOnly: role === 'reader' };
  const pool = new pg.Pool({
    ...clientConfig(options, use),
    max: role === 'writer' ? writers : options.poolMax - writers,
    idleTimeoutMillis: IDLE_MS_MAX,
  });
  // A connection that breaks while nothing waits on it leaves the pool; the next call opens another.
  pool.on('error', () => {});
  const guarded = <T>(call: () => Promise<T>): Promise<T> => guard(options, call);
  const columnTypes = memoised(() => readColumnTypes(pool));
  return {
    all: (sql, values) => guarded(() => select(pool, sql, values)),
    insert: inserts =>
      guarded(async () => {
        const types = await columnTypes();
        const chunks = inserts.flatMap(chunked);
        await inTransaction(pool, async client => {
          for (const chunk of chunks) await client.query(insertSql(chunk, types), columnsOf(chunk));
        });
      }),
    change: statements =>
      guarded(() =>
        inTransaction(pool, async client => {
          let changed = 0;
          for (const { sql, values } of statements) {
            changed += (await client.query(numbered(sql), values.map(encode))).rowCount ?? 0;
          }
          return changed;
        }),
      ),
    alone: call =>
      withClient(options, { statementMsMax: MIGRATION_MS_MAX, isReadOnly: false }, async client => {
        await client.query('BEGIN');
        await client.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
        const result = await call({
          all: (sql, values) => select(client, sql, values),
          run: async script => {
            await client.query(script);
          },
        });
        // Where this is not reached the connection ends, and the transaction with it.
        await client.query('COMMIT');
        return result;
      }),
    sizeBytes: () => guarded(async () => Number((await select(pool, SIZE_SQL, []))[0]?.bytes)),
    close: () => pool.end(),
  };
}

const SIZE_SQL = `
  SELECT coalesce(sum(pg_total_relation_size(oid)), 0) AS bytes FROM pg_class
  WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`;

async function select(
  target: pg.Pool | pg.ClientBase,
  sql: string,
  values: readonly ColumnValue[],
): Promise<readonly SqlRow[]> {
  const { rows } = await target.query<Record<string, unknown>>(numbered(sql), values.map(encode));
  return rows;
}

/** Runs the call in one transaction; after a failure the connection is given up, which undoes it. */
async function inTransaction<T>(pool: pg.Pool, call: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  // A pool does not listen on connections that are lent; what breaks one fails the statement that waits on it.
  const ignore = (): void => {};
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const result = await call(client);
    await client.query('COMMIT');
    client.off('error', ignore);
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

type ColumnTypes = ReadonlyMap<string, string>;

/**
 * `table.column` → type, as the schema has it: the migrations say it once. From the catalog itself, since
 * information_schema hides what the user has no right on, and the insert is to say which right that is.
 */
async function readColumnTypes(pool: pg.Pool): Promise<ColumnTypes> {
  const rows = await select(
    pool,
    `SELECT relname, attname, format_type(atttypid, atttypmod) AS type
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = current_schema()::regnamespace AND attnum > 0 AND relkind = 'r' AND NOT attisdropped`,
    [],
  );
  return new Map(rows.map(row => [`${row.relname}.${row.attname}`, String(row.type)]));
}

/** What the call resolved with; after a rejection it is called again. */
function memoised<T>(call: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    known ??= call().catch(error => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

function chunked(insert: SqlInsert): readonly SqlInsert[] {
  const chunks: SqlInsert[] = [];
  for (let from = 0; from < insert.rows.length; from += INSERT_ROWS_MAX) {
    chunks.push({ ...insert, rows: insert.rows.slice(from, from + INSERT_ROWS_MAX) });
  }
  return chunks;
}

/** One array a column: the statement is the same for any number of rows. */
function insertSql({ table, columns }: SqlInsert, types: ColumnTypes): string {
  const names = columns.map(column => `"${column}"`).join(', ');
  const arrays = columns.map((column, at) => {
    const type = types.get(`${table}.${column}`);
    assert(type !== undefined, `the migrations make ${table}.${column}`);
    return `$${at + 1}::${type}[]`;
  });
  return `INSERT INTO ${table} (${names}) SELECT * FROM unnest(${arrays.join(', ')}) ON CONFLICT DO NOTHING`;
}

function columnsOf({ columns, rows }: SqlInsert): ColumnValue[][] {
  return columns.map((_, at) => rows.map(row => encode(row[at] ?? null)));
}

function encode(value: ColumnValue): ColumnValue {
  return typeof value === 'string' ? encodeText(value) : value;
}

async function guard<T>(options: PostgresOptions, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw postgresError(error, nameOf(options));
  }
}
