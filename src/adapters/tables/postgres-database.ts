import pg from 'pg';
import { clientConfig, nameOf, numbered, type PostgresOptions, withClient } from './postgres-connection.ts';
import { postgresError } from './postgres-error.ts';
import { createPostgresInserter } from './postgres-insert.ts';
import { encodeValue, inTransaction, select } from './postgres-statements.ts';
import type { SqlDatabase, SqlSchemaOwner } from './sql-database.ts';

/** Who uses the connections: two sinks that write, or the look-ups of the process. */
export type PostgresRole = 'writer' | 'reader';

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
  const insert = createPostgresInserter(pool);
  return {
    all: (sql, values) => guarded(() => select(pool, sql, values)),
    insert: inserts => guarded(() => insert(inserts)),
    change: statements =>
      guarded(() =>
        inTransaction(pool, async client => {
          let changed = 0;
          for (const { sql, values } of statements) {
            changed += (await client.query(numbered(sql), values.map(encodeValue))).rowCount ?? 0;
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

async function guard<T>(options: PostgresOptions, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw postgresError(error, nameOf(options));
  }
}
