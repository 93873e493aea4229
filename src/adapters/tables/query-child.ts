// The process that runs one query. It imports nothing but what it needs to start fast, is given no environment
// and no secret, and is killed by its parent at the deadline. One JSON request comes on standard input, one
// JSON answer goes to standard output.
import { readFileSync } from 'node:fs';
import { constants, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { distinctNames } from './query-answer.ts';
import type { QueryFailure, QueryRequest } from './query-process.ts';

/** Each integer up to 2^53 is a number of its own; the next one would be read as 2^53. */
const INTEGER_MAX = 2n ** 53n;
const BUSY_MS_MAX = 5_000;
const WATCH_MS = 10;
// SQLite is compiled into Node without memory statistics, so its own heap limits do nothing (measured: with
// hard_heap_limit at 50 MB a query took 300 MB). A thread watches what the process holds instead.
const WATCH = `
  const { workerData } = require('node:worker_threads');
  const bytesMax = process.memoryUsage.rss() + workerData.memoryBytesMax;
  setInterval(() => process.memoryUsage.rss() > bytesMax && process.kill(process.pid, 'SIGKILL'), ${WATCH_MS});
  Atomics.store(workerData.watching, 0, 1);
  Atomics.notify(workerData.watching, 0);`;

// Nothing here reaches out of the database, or makes a large value out of a number.
const FUNCTIONS: ReadonlySet<string> = new Set(
  `abs ceil ceiling floor round trunc sign mod pow power sqrt exp ln log log10 log2 pi radians degrees
   acos acosh asin asinh atan atan2 atanh cos cosh sin sinh tan tanh random
   char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower ltrim
   max min nullif octet_length printf quote replace rtrim soundex substr substring trim typeof unhex unicode
   unistr unistr_quote unlikely upper sqlite_version
   date datetime julianday strftime time timediff unixepoch current_date current_time current_timestamp
   avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total
   cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
   json json_array json_array_insert json_array_length json_error_position json_extract json_group_array
   json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
   json_type json_valid -> ->> subtype`.split(/\s+/),
);
const TABLE_FUNCTIONS: readonly string[] = ['json_each', 'json_tree'];

// What may follow the statement: spaces, semicolons and comments.
const NOTHING_MORE = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*$/;

// Result codes of SQLite.
const NO_MEMORY = 7;
const TOO_BIG = 18;
/** Busy, locked, unreadable, damaged, full, cannot open, not a database. */
const STORE_FAILURES: readonly number[] = [5, 6, 10, 11, 13, 14, 26];

const request: QueryRequest = JSON.parse(readFileSync(0, 'utf8'));
// What the thread itself holds must not count, nor may the query be ahead of it.
const watching = new Int32Array(new SharedArrayBuffer(4));
new Worker(WATCH, { eval: true, workerData: { memoryBytesMax: request.memoryBytesMax, watching } });
Atomics.wait(watching, 0, 0);
for (const piece of answer(request)) process.stdout.write(piece);
process.stdout.end(() => process.exit(0));

/** What is answered, in pieces: of a large answer there is one copy. */
type Answer = readonly (string | Uint8Array)[];

function answer({ file, sql, relations, rowsMax, answerBytesMax }: QueryRequest): Answer {
  const denied: string[] = [];
  try {
    const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS_MAX });
    // Sorting in memory, under its limit, rather than on a disk that other things need.
    database.exec('PRAGMA temp_store = MEMORY; PRAGMA query_only = ON');
    database.setAuthorizer((action, first, second) => {
      const refusal = refusalOf(relations, action, first, second);
      if (refusal !== undefined) denied.push(refusal);
      return refusal === undefined ? constants.SQLITE_OK : constants.SQLITE_DENY;
    });
    const statement = database.prepare(sql);
    if (!NOTHING_MORE.test(sql.slice(statement.sourceSQL.length))) {
      return failure('ERR_QUERY_FORBIDDEN', 'there is more than one statement');
    }
    return rowsAnswer(statement, { rowsMax, answerBytesMax });
  } catch (error) {
    return denied[0] === undefined ? failureOf(error) : failure('ERR_QUERY_FORBIDDEN', denied[0]);
  }
}

function refusalOf(
  relations: readonly string[],
  action: number,
  first: string | null,
  second: string | null,
): string | undefined {
  switch (action) {
    case constants.SQLITE_SELECT:
    case constants.SQLITE_RECURSIVE:
      return undefined;
    case constants.SQLITE_READ: {
      const table = first ?? '';
      // Without a column only rows are counted, and a common table expression looks just like a table.
      const isCount = second === '' && !/^(?:sqlite|pragma)_/i.test(table);
      const isAllowed = isCount || relations.includes(table) || TABLE_FUNCTIONS.includes(table);
      return isAllowed ? undefined : `it reads ${table}`;
    }
    case constants.SQLITE_FUNCTION:
      return FUNCTIONS.has((second ?? '').toLowerCase()) ? undefined : `it calls ${second}`;
    default:
      return 'it does something other than SELECT';
  }
}

/** The document as JSON text. Written member by member: a column may be named `__proto__`. */
function rowsAnswer(
  statement: StatementSync,
  limits: { readonly rowsMax: number; readonly answerBytesMax: number },
): Answer {
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const columns = statement.columns();
  const names = distinctNames(columns.map(column => column.name));
  const types = columns.map(column => declaredType(column.type));
  const keys = names.map(name => `${JSON.stringify(name)}:`);
  const rows: Uint8Array[] = [];
  let sizeBytes = 0;
  let truncated = false;
  for (const row of statement.iterate()) {
    const cells = cellsOf(row);
    const text = `${rows.length === 0 ? '' : ','}{${cells.map((cell, i) => keys[i] + cellText(cell)).join(',')}}`;
    sizeBytes += text.length;
    if (rows.length === 0 && sizeBytes > limits.answerBytesMax) {
      return failure('ERR_QUERY_MEMORY', `its first row takes more than ${limits.answerBytesMax} bytes`);
    }
    if (rows.length === limits.rowsMax || sizeBytes > limits.answerBytesMax) {
      truncated = true;
      break;
    }
    // Outside the heap, where V8's idea of when to collect does not count it twice.
    rows.push(Buffer.from(text));
    for (const [i, cell] of cells.entries()) types[i] ??= typeOf(cell);
  }
  const described = names.map((name, i) => ({ name, type: types[i] ?? 'null' }));
  return [`{"columns":${JSON.stringify(described)},"rows":[`, ...rows, `],"truncated":${truncated}}`];
}

/** With `setReturnArrays` a row is an array, which the types do not say. */
function cellsOf(row: unknown): readonly SQLOutputValue[] {
  if (!Array.isArray(row)) throw new Error('assertion failed: a row is an array');
  return row;
}

function declaredType(type: string | null): string | undefined {
  if (type === null) return undefined;
  if (/INT/i.test(type)) return 'integer';
  if (/JSON/i.test(type)) return 'json';
  return /CHAR|CLOB|TEXT/i.test(type) ? 'text' : 'real';
}

function typeOf(cell: SQLOutputValue): string | undefined {
  if (cell === null) return undefined;
  if (typeof cell === 'bigint') return 'integer';
  return typeof cell === 'number' ? 'real' : 'text';
}

/** Integers beyond 2^53 are texts, blobs hexadecimal texts, infinities null. */
function cellText(cell: SQLOutputValue): string {
  if (typeof cell === 'bigint') {
    return -INTEGER_MAX <= cell && cell <= INTEGER_MAX ? `${cell}` : `"${cell}"`;
  }
  return JSON.stringify(cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : cell);
}

function failureOf(error: unknown): Answer {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  if (code === NO_MEMORY || code === TOO_BIG || /string longer than/i.test(message)) {
    return failure('ERR_QUERY_MEMORY', message);
  }
  const isStores = code !== undefined && STORE_FAILURES.includes(code);
  return failure(isStores ? 'ERR_STORE_UNAVAILABLE' : 'ERR_QUERY_INVALID', message);
}

function failure(code: QueryFailure['code'], why: string): Answer {
  return [JSON.stringify({ code, why } satisfies QueryFailure)];
}
