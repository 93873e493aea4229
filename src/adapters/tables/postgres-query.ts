import type { QueryDocument } from '../../core/documents.ts';
import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import type { QueryRunner } from '../../core/ports.ts';
import { nameOf, type PostgresOptions } from './postgres-connection.ts';
import { messageOf, postgresError, sqlStateOf } from './postgres-error.ts';
import { readQueryText } from './postgres-query-text.ts';
import { prepareReader, type ReaderRole } from './postgres-reader-role.ts';
import { PostgresRows } from './postgres-rows.ts';
import {
  closedError,
  openQuerySession,
  type QueryRun,
  timeoutError,
  withinDeadline,
} from './postgres-session.ts';
import { ANSWER_BYTES_MAX } from './query-answer.ts';
import { type QueryLimits, QueryTurns } from './query-turns.ts';

/**
 * Makes a runner of users' SQL: `query.concurrentMax` connections at most, up to 32 queries waiting. Each query has
 * a connection of its own, logged in as a role that may read the relations and nothing else; its text comes to the
 * server as the query of a cursor in a read-only transaction, where only one SELECT can stand, and the transaction
 * is never committed. The server ends it at the deadline; so does this side, by ending the session.
 *
 * It throws ERR_QUERY_INVALID, ERR_QUERY_FORBIDDEN, ERR_QUERY_MEMORY, ERR_QUERY_TIMEOUT (the deadline counts from
 * the call, waiting for a turn included) and what reaching the server throws. Closing ends what runs and refuses
 * what waits.
 */
export function createPostgresQueryRunner(options: PostgresOptions, limits: QueryLimits): QueryRunner {
  const turns = new QueryTurns(limits['query.concurrentMax']);
  const closing = new AbortController();
  const going = new Set<Promise<unknown>>();
  const later = (work: Promise<unknown>): void => {
    going.add(work);
    void work.finally(() => going.delete(work));
  };
  const reader = prepareOnce(options);
  return {
    async run(sql) {
      const untilMs = performance.now() + limits['query.timeoutMs'];
      const deadline = AbortSignal.timeout(limits['query.timeoutMs']);
      const run = { sql, limits, untilMs, deadline, closing: closing.signal, later };
      await turns.take(deadline);
      try {
        refuse(sql);
        return await runOnce(await withinDeadline(reader.role(), run), run);
      } catch (error) {
        // Somebody may have dropped the role, or changed its password: the next query makes it anew.
        if (error instanceof MillraceError && error.code === 'ERR_STORE_AUTH') reader.forget();
        throw error;
      } finally {
        turns.give();
      }
    },
    async close() {
      turns.close();
      closing.abort();
      await Promise.all(going);
    },
  };
}

/** The reader's role, made when it is first asked for, and again after a failure. */
function prepareOnce(options: PostgresOptions): { role(): Promise<ReaderRole>; forget(): void } {
  let known: Promise<ReaderRole> | undefined;
  const forget = (): void => {
    known = undefined;
  };
  return {
    role() {
      known ??= prepareReader(options).catch(error => {
        forget();
        throw error;
      });
      return known;
    },
    forget,
  };
}

function refuse(sql: string): void {
  if (sql.includes('\0')) throw new MillraceError('ERR_QUERY_INVALID', 'it holds U+0000');
  const { refusal } = readQueryText(sql);
  if (refusal !== undefined) throw new MillraceError('ERR_QUERY_FORBIDDEN', refusal);
}

async function runOnce(role: ReaderRole, run: QueryRun): Promise<QueryDocument> {
  const session = await openQuerySession(role, run);
  const stop = (): void => session.end();
  const rows = new PostgresRows({
    rowsMax: run.limits['query.rowsMax'],
    answerBytesMax: ANSWER_BYTES_MAX,
    // More than is needed has come: the rest is not waited for.
    onFull: stop,
  });
  for (const signal of [run.deadline, run.closing]) signal.addEventListener('abort', stop);
  try {
    await session.declare(run.sql);
    await session.fetch(run.limits['query.rowsMax'] + 1, rows);
  } catch (error) {
    // Full, the session was ended by ourselves.
    if (!rows.isFull || run.deadline.aborted || run.closing.aborted) throw queryError(error, role, run);
  } finally {
    for (const signal of [run.deadline, run.closing]) signal.removeEventListener('abort', stop);
    session.end();
  }
  return rows.document();
}

/** Errors of the query itself are its author's; all others are the store's. */
function queryError(error: unknown, role: ReaderRole, run: QueryRun): MillraceError {
  const state = sqlStateOf(error);
  if (run.closing.aborted) return closedError();
  if (run.deadline.aborted || state === CANCELLED) return timeoutError(run);
  const code = state === undefined ? undefined : codeOf(state, run.sql);
  if (code === undefined) return postgresError(error, nameOf(role.options));
  return new MillraceError(code, messageOf(error).replace(/\s+/g, ' '), { cause: error });
}

const CANCELLED = '57014';
/** Too much of something for the server: memory, a limit of its configuration, the size of a value. */
const MEMORY: readonly string[] = ['53200', '53400', '54000'];
/** A right, a read-only transaction, what a cursor cannot be of. */
const FORBIDDEN: readonly string[] = ['42501', '25006', '42P11'];
/** What does not parse after DECLARE, or is not supported in a cursor. */
const NOT_OF_A_CURSOR: readonly string[] = ['42601', '0A000'];
/** The connection (but for 08P01: a query of `$1` lacks its value), resources, an operator, the system, a bug. */
const SERVERS = /^(?:08(?!P01)|53|57|58|XX)/;

/** By state and text alone: the server's messages come in its own language. */
function codeOf(state: string, sql: string): ErrorCode | undefined {
  if (MEMORY.includes(state)) return 'ERR_QUERY_MEMORY';
  if (SERVERS.test(state)) return undefined;
  const isForbidden =
    FORBIDDEN.includes(state) || (NOT_OF_A_CURSOR.includes(state) && readQueryText(sql).isCommand);
  return isForbidden ? 'ERR_QUERY_FORBIDDEN' : 'ERR_QUERY_INVALID';
}
