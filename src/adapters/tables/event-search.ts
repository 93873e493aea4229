import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type {
  EventDocument,
  EventFilter,
  EventOutcome,
  EventRow,
  EventsDocument,
} from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Json } from '../../core/event.ts';
import { parseSource } from '../../core/record.ts';
import { bareTopic, fullTopic } from '../../core/topics.ts';

/** The relations that events end in. Their order decides between rows of the same time; a cursor names it. */
const ENDS = [
  { outcome: 'emit', relation: 'events' },
  { outcome: 'reject', relation: 'failed' },
  { outcome: 'drop', relation: 'dropped' },
  { outcome: 'duplicate', relation: 'duplicates' },
] as const satisfies readonly { readonly outcome: EventOutcome; readonly relation: string }[];

type End = (typeof ENDS)[number];
type Row = Readonly<Record<string, SQLOutputValue>>;

const PAGE_ROWS = 100;
const PAGE_ROWS_MAX = 1000;
/**
 * Rows of one relation that a page looks at: the look-up runs in the thread that serves HTTP, and 10,000 rows
 * of which none matches take 10 to 15 ms.
 */
const SCAN_ROWS_MAX = 10_000;

/** A place in the order of the answer: time descending, then the relation, then the row id descending. */
interface Cursor {
  readonly timeMs: number;
  readonly end: number;
  readonly rowId: number;
}

interface Found {
  readonly at: Cursor;
  readonly row: Row;
}

/**
 * Events that match every filter, newest first, 100 where `limit` is absent and 1000 at most. Each relation is
 * read through the one index that narrows most, up to 10,000 rows; what is older is left to the next page.
 * Throws ERR_REQUEST_INVALID for an `after` that is no `next`.
 */
export function searchEvents(database: DatabaseSync, filter: EventFilter): EventsDocument {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit ?? PAGE_ROWS)), PAGE_ROWS_MAX);
  const after = filter.after === undefined ? undefined : cursorOf(filter.after);
  const scans = ENDS.flatMap((end, index) =>
    filter.outcome === undefined || filter.outcome === end.outcome
      ? [scan(database, { end, index, filter, after, limit })]
      : [],
  );
  // Where a relation was not read to its end, nothing older than its last row may be told: it could hold newer ones.
  const stops = scans.flatMap(({ stoppedAt }) => (stoppedAt === undefined ? [] : [stoppedAt])).sort(compare);
  const found = scans.flatMap(({ rows }) => rows).sort((a, b) => compare(a.at, b.at));
  const stop = stops[0];
  const told = stop === undefined ? found : found.filter(({ at }) => compare(at, stop) <= 0);
  const page = told.slice(0, limit);
  const last = told.length > limit ? page.at(-1)?.at : stop;
  return {
    events: page.map(({ at, row }) => eventRowOf(ENDS[at.end]!.outcome, row)),
    next: last === undefined ? null : `${last.timeMs}:${last.end}:${last.rowId}`,
  };
}

/** One event with its record; throws ERR_NOT_FOUND. */
export function findEvent(database: DatabaseSync, id: string, environment: string): EventDocument {
  const [, outcome, topic, partition, offset, index] =
    /^([a-z]+):([^:]+):(\d{1,10}):(\d{1,16}):(\d{1,10})$/.exec(id) ?? [];
  const end = ENDS.find(candidate => candidate.outcome === outcome);
  const row = end === undefined ? undefined : rowAt(database, end, [topic!, partition!, offset!, index!]);
  if (end === undefined || row === undefined) {
    throw new MillraceError('ERR_NOT_FOUND', `no event ${JSON.stringify(id)}`);
  }
  const source = parseSource(textOf(row.source) ?? undefined);
  return {
    ...eventRowOf(end.outcome, row),
    reason: textOf(row.reason),
    pointer: textOf(row.pointer),
    source:
      source === undefined
        ? null
        : { ...source, topic: fullTopic(environment, bareTopic(environment, source.topic)) },
    event: row.raw === undefined ? null : jsonOrText(String(row.raw)),
  };
}

interface Scan {
  readonly end: End;
  readonly index: number;
  readonly filter: EventFilter;
  readonly after: Cursor | undefined;
  readonly limit: number;
}

/** Matching rows of one relation in the answer's order; `stoppedAt` is how far it was read, undefined for all. */
function scan(
  database: DatabaseSync,
  { end, index, filter, after, limit }: Scan,
): { readonly rows: readonly Found[]; readonly stoppedAt: Cursor | undefined } {
  const conditions = conditionsOf(filter);
  // One is served by an index, together with the time; the others are checked row by row.
  const indexed = conditions.filter(({ column }) => INDEXED.includes(column)).slice(0, 1);
  const rest = conditions.filter(condition => !indexed.includes(condition));
  const range = rangeOf(filter, after, index);
  const inner = [...indexed.map(({ column }) => `${column} = ?`), ...range.map(({ sql }) => sql)];
  const from = `FROM ${end.relation} ${inner.length > 0 ? `WHERE ${inner.join(' AND ')}` : ''}
    ORDER BY received_at DESC, rowid DESC`;
  const values = [...indexed.map(({ value }) => value), ...range.flatMap(({ values }) => values)];
  const matches = rest.map(({ column }) => `${column} = ?`).join(' AND ');
  const found = database
    .prepare(
      `SELECT * FROM (SELECT rowid AS row_id, ${columnsOf(end)} ${from} LIMIT ${SCAN_ROWS_MAX})
       ${matches === '' ? '' : `WHERE ${matches}`} LIMIT ${limit + 1}`,
    )
    .all(...values, ...rest.map(({ value }) => value))
    .map(row => ({ row, at: placeOf(row, index) }));
  if (found.length > limit) return { rows: found, stoppedAt: found.at(-1)!.at };
  const last = database
    .prepare(`SELECT rowid AS row_id, received_at ${from} LIMIT 1 OFFSET ${SCAN_ROWS_MAX - 1}`)
    .get(...values);
  return { rows: found, stoppedAt: last === undefined ? undefined : placeOf(last, index) };
}

function placeOf(row: Row, end: number): Cursor {
  return { timeMs: Number(row.received_at), end, rowId: Number(row.row_id) };
}

/** Columns that an index begins with, the most telling first. */
const INDEXED: readonly string[] = ['mid', 'did', 'user_id'];

function conditionsOf(
  filter: EventFilter,
): readonly { readonly column: string; readonly value: SQLInputValue }[] {
  const wanted = [
    ['mid', filter.mid],
    ['did', filter.did],
    ['user_id', filter.user],
    ['eid', filter.eid],
    ['channel', filter.channel],
  ] as const;
  return wanted.flatMap(([column, value]) => (value === undefined ? [] : [{ column, value }]));
}

function rangeOf(
  { fromMs, toMs }: EventFilter,
  after: Cursor | undefined,
  end: number,
): readonly { readonly sql: string; readonly values: readonly SQLInputValue[] }[] {
  const range: { sql: string; values: SQLInputValue[] }[] = [];
  if (fromMs !== undefined) range.push({ sql: 'received_at >= ?', values: [fromMs] });
  if (toMs !== undefined) range.push({ sql: 'received_at < ?', values: [toMs] });
  if (after === undefined) return range;
  if (end === after.end) {
    range.push({ sql: '(received_at, rowid) < (?, ?)', values: [after.timeMs, after.rowId] });
  } else {
    range.push({ sql: `received_at ${end > after.end ? '<=' : '<'} ?`, values: [after.timeMs] });
  }
  return range;
}

function compare(a: Cursor, b: Cursor): number {
  return b.timeMs - a.timeMs || a.end - b.end || b.rowId - a.rowId;
}

function cursorOf(text: string): Cursor {
  const match = /^(-?\d{1,16}):([0-3]):(\d{1,16})$/.exec(text);
  if (match === null) {
    throw new MillraceError('ERR_REQUEST_INVALID', `after=${JSON.stringify(text)} is not the next of a page`);
  }
  return { timeMs: Number(match[1]), end: Number(match[2]), rowId: Number(match[3]) };
}

const COLUMNS =
  'received_at, eid, mid, did, channel, pdata_id, user_id, ets, job, topic, partition, "offset"';

function columnsOf(end: End): string {
  if (end.relation === 'events') return COLUMNS;
  return end.relation === 'duplicates' ? `${COLUMNS}, code, event_index` : `${COLUMNS}, code`;
}

function rowAt(database: DatabaseSync, end: End, at: readonly string[]): Row | undefined {
  const [topic, partition, offset, index] = at;
  const place = [topic!, Number(partition), Number(offset)];
  const isDuplicate = end.relation === 'duplicates';
  return database
    .prepare(
      `SELECT * FROM ${end.relation} WHERE topic = ? AND partition = ? AND "offset" = ?
       ${isDuplicate ? 'AND event_index = ?' : ''}`,
    )
    .get(...place, ...(isDuplicate ? [Number(index)] : []));
}

function eventRowOf(outcome: EventOutcome, row: Row): EventRow {
  const [topic, partition, offset] = [String(row.topic), Number(row.partition), Number(row.offset)];
  return {
    id: `${outcome}:${topic}:${partition}:${offset}:${Number(row.event_index ?? 0)}`,
    outcome,
    receivedAtMs: Number(row.received_at),
    eid: textOf(row.eid),
    mid: textOf(row.mid),
    did: textOf(row.did),
    channel: textOf(row.channel),
    pdataId: textOf(row.pdata_id),
    userId: textOf(row.user_id),
    ets: row.ets === null ? null : Number(row.ets),
    job: textOf(row.job),
    code: textOf(row.code),
    topic,
    partition,
    offset,
  };
}

function textOf(value: SQLOutputValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

function jsonOrText(raw: string): Json {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}
