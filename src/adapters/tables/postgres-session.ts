import pg from 'pg';
import { MillraceError } from '../../core/errors.ts';
import { clientConfig, nameOf, type PostgresOptions, withClient } from './postgres-connection.ts';
import { postgresError } from './postgres-error.ts';
import type { ReaderRole } from './postgres-reader-role.ts';
import type { PostgresRows } from './postgres-rows.ts';
import type { QueryLimits } from './query-turns.ts';

/** A query that is being run. */
export interface QueryRun {
  readonly sql: string;
  readonly limits: QueryLimits;
  /** By the monotonic clock. */
  readonly untilMs: number;
  readonly deadline: AbortSignal;
  /** Aborted when queries end for good. */
  readonly closing: AbortSignal;
  /** Is handed what goes on after the query's own end, so that closing can wait for it. */
  readonly later: (work: Promise<unknown>) => void;
}

/** A session of the reader's with one query in it. */
export interface QuerySession {
  /** Opens a cursor over the query; the server refuses what is not one SELECT. */
  declare(sql: string): Promise<void>;
  /** Hands on the rows as they come, this many at most. */
  fetch(count: number, rows: PostgresRows): Promise<void>;
  /** Ends the session, whatever runs in it; may be called again. */
  end(): void;
}

const END_MS_MAX = 5_000;
/** Sorts and hashes of one query; beyond its share of the memory each uses the server's disk. */
const SORTS_MAX = 4;
const WORK_KIB_MIN = 64;

/** Logs in as the reader and begins the transaction of the query. */
export async function openQuerySession(role: ReaderRole, run: QueryRun): Promise<QuerySession> {
  const use = { statementMsMax: run.limits['query.timeoutMs'], isReadOnly: true };
  // The client's own time-out would gather the rows and keep their errors to itself; the deadline is ours.
  const client = new pg.Client({ ...clientConfig(role.options, use), query_timeout: 0 });
  // What breaks the connection also fails the statement that waits on it.
  client.on('error', () => {});
  let pid: number | undefined;
  let isRunning = false;
  const end = (): void => {
    client.connection.stream.destroy();
    // The server does not look at the connection for as long as it computes.
    if (isRunning && pid !== undefined) run.later(terminate(role.options, pid));
    isRunning = false;
  };
  const running = async <T>(call: () => Promise<T>): Promise<T> => {
    isRunning = true;
    try {
      return await call();
    } finally {
      isRunning = false;
    }
  };
  try {
    await withinDeadline(client.connect(), run);
    const results: unknown = await withinDeadline(client.query(transactionSql(role, run)), run);
    pid = pidOf(results);
  } catch (error) {
    end();
    throw postgresError(error, nameOf(role.options));
  }
  return {
    async declare(sql) {
      // `extended`: the server takes one statement and no more.
      const config = { text: `DECLARE answer NO SCROLL CURSOR FOR ${sql}`, queryMode: 'extended' };
      await running(() => client.query(config));
    },
    async fetch(count, rows) {
      client.connection.stream.on('data', (chunk: Uint8Array) => rows.received(chunk.length));
      await running(() => fetchRows(client, count, rows));
    },
    end,
  };
}

/** Rejects with ERR_QUERY_TIMEOUT at the deadline, and with ERR_NOT_READY when queries end. */
export function withinDeadline<T>(call: Promise<T>, run: QueryRun): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(timeoutError(run));
    const closed = (): void => reject(closedError());
    if (run.deadline.aborted) late();
    if (run.closing.aborted) closed();
    run.deadline.addEventListener('abort', late);
    run.closing.addEventListener('abort', closed);
    call.then(resolve, reject).finally(() => {
      run.deadline.removeEventListener('abort', late);
      run.closing.removeEventListener('abort', closed);
    });
  });
}

/** The query ran out of its time, waiting for a turn included. */
export function timeoutError({ limits }: QueryRun): MillraceError {
  const why = `it was not done ${limits['query.timeoutMs']} ms after it was asked`;
  return new MillraceError('ERR_QUERY_TIMEOUT', why);
}

/** The process stops. */
export function closedError(): MillraceError {
  return new MillraceError('ERR_NOT_READY', 'queries have ended');
}

/**
 * The limits of one query; a SELECT can change none of them (see postgres-query-text.ts). The last statement takes
 * the snapshot, after which the transaction cannot be made one that writes.
 */
function transactionSql({ schema }: ReaderRole, { limits, untilMs }: QueryRun): string {
  const leftMs = Math.max(1, Math.ceil(untilMs - performance.now()));
  const workKib = Math.floor(limits['query.memoryBytesMax'] / 1024 / SORTS_MAX);
  return `
    BEGIN TRANSACTION READ ONLY;
    SET LOCAL search_path TO ${pg.escapeIdentifier(schema)};
    SET LOCAL statement_timeout TO ${leftMs};
    SET LOCAL idle_in_transaction_session_timeout TO ${leftMs};
    SET LOCAL work_mem TO ${Math.max(WORK_KIB_MIN, workKib)};
    SET LOCAL hash_mem_multiplier TO 1;
    SET LOCAL max_parallel_workers_per_gather TO 0;
    SET LOCAL jit TO off;
    SET LOCAL backslash_quote TO off;
    SELECT pg_backend_pid() AS pid`;
}

/** Of several statements the client resolves with an array, which its types do not say. */
function pidOf(results: unknown): number {
  const last: unknown = Array.isArray(results) ? results.at(-1) : undefined;
  if (!(last instanceof pg.Result)) throw new Error('assertion failed: each statement has a result');
  return Number(last.rows[0]?.pid);
}

function fetchRows(client: pg.Client, count: number, rows: PostgresRows): Promise<void> {
  const text = `FETCH FORWARD ${count} FROM answer`;
  const config = { text, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } };
  const query = client.query(new pg.Query<(string | null)[]>(config));
  return new Promise((resolve, reject) => {
    query.on('row', (row, result) => {
      rows.described(result?.fields ?? []);
      rows.add(row);
    });
    query.on('error', reject);
    query.on('end', result => {
      rows.described(result.fields);
      resolve();
    });
  });
}

/** Ends a session of the reader's by another one. Where that fails the server's own deadline ends it. */
async function terminate(options: PostgresOptions, pid: number): Promise<void> {
  const use = { statementMsMax: END_MS_MAX, isReadOnly: true };
  try {
    await withClient(options, use, client => client.query('SELECT pg_terminate_backend($1)', [pid]));
  } catch (error) {
    // Nothing is lost by it: statement_timeout ends the query a little later.
    if (!(error instanceof MillraceError)) throw error;
  }
}
