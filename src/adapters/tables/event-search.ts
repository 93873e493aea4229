import type {
  EventDocument,
  EventFilter,
  EventOutcome,
  EventRow,
  EventsDocument,
} from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { parseSource } from '../../core/record.ts';
import { type ColumnValue, columnText } from '../../core/relations.ts';
import { bareTopic, fullTopic } from '../../core/topics.ts';
import { keyText } from './key-text.ts';
import { jsonOrText, type Position, pageRows, parsePosition, wholeMs } from './look-up.ts';
import { type SqlReader, type SqlRow, textOf } from './sql-database.ts';

/** The relations that events end in. Their order decides between rows of the same time; a cursor names it. */
const ENDS = [
  { outcome: 'emit', relation: 'events' },
  { outcome: 'reject', relation: 'failed' },
  { outcome: 'drop', relation: 'dropped' },
  { outcome: 'duplicate', relation: 'duplicates' },
] as const satisfies readonly { readonly outcome: EventOutcome; readonly relation: string }[];

type End = (typeof ENDS)[number];

/**
 * Rows of one relation that a page looks at: the look-up runs in the thread that serves HTTP, and 10,000 rows
 * of which none matches take 10 to 15 ms.
 */
const SCAN_ROWS_MAX = 10_000;

/** A place in the order of the answer: time descending, then the relation, then the row's key descending. */
interface Cursor {
  readonly timeMs: number;
  readonly end: number;
  readonly key: Position;
}

interface Found {
  readonly at: Cursor;
  readonly row: SqlRow;
}

/**
 * Events that match every filter, newest first, 100 where `limit` is absent and 1000 at most. Each relation is
 * read through the one index that narrows most, up to 10,000 rows; what is older is left to the next page.
 * Throws ERR_REQUEST_INVALID for an `after` that is no `next`.
 */
export async function searchEvents(database: SqlReader, filter: EventFilter): Promise<EventsDocument> {
  const limit = pageRows(filter.limit);
  const after = filter.after === undefined ? undefined : cursorOf(filter.after);
  const scans = await Promise.all(
    ENDS.flatMap((end, index) =>
      filter.outcome === undefined || filter.outcome === end.outcome
        ? [scan(database, { end, index, filter, after, limit })]
        : [],
    ),
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
    next: last === undefined ? null : `${last.timeMs}:${last.end}:${last.key.join(':')}`,
  };
}

/** One event with its record; throws ERR_NOT_FOUND. */
export async function findEvent(
  database: SqlReader,
  id: string,
  environment: string,
): Promise<EventDocument> {
  const [, outcome, text = ''] = /^([a-z]+):(.*)$/.exec(id) ?? [];
  const end = ENDS.find(candidate => candidate.outcome === outcome);
  const key = parsePosition(text, true);
  const row = end === undefined || key === undefined ? undefined : await rowAt(database, end, key);
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
async function scan(
  database: SqlReader,
  { end, index, filter, after, limit }: Scan,
): Promise<{ readonly rows: readonly Found[]; readonly stoppedAt: Cursor | undefined }> {
  const conditions = conditionsOf(filter);
  // One is served by an index, together with the time; the others are checked row by row.
  const indexed = conditions.filter(({ column }) => INDEXED.includes(column)).slice(0, 1);
  const rest = conditions.filter(condition => !indexed.includes(condition));
  const range = rangeOf(filter, after, index);
  const inner = [...indexed.map(({ column }) => `${column} = ?`), ...range.map(({ sql }) => sql)];
  const key = keyOf(end).join(', ');
  const from = `FROM ${end.relation} ${inner.length > 0 ? `WHERE ${inner.join(' AND ')}` : ''}
    ORDER BY received_at DESC, ${keyOf(end).join(' DESC, ')} DESC`;
  const values = [...indexed.map(({ value }) => value), ...range.flatMap(({ values }) => values)];
  const matches = rest.map(({ column }) => `${column} = ?`).join(' AND ');
  const rows = await database.all(
    `SELECT * FROM (SELECT ${columnsOf(end)} ${from} LIMIT ${SCAN_ROWS_MAX}) AS scanned
     ${matches === '' ? '' : `WHERE ${matches}`} LIMIT ?`,
    [...values, ...rest.map(({ value }) => value), limit + 1],
  );
  const found = rows.map(row => ({ row, at: placeOf(row, index) }));
  if (found.length > limit) return { rows: found, stoppedAt: found.at(-1)!.at };
  const [last] = await database.all(
    `SELECT received_at, ${key} ${from} LIMIT 1 OFFSET ${SCAN_ROWS_MAX - 1}`,
    values,
  );
  return { rows: found, stoppedAt: last === undefined ? undefined : placeOf(last, index) };
}

/** The columns that name a row of the relation. */
function keyOf(end: End): readonly string[] {
  return ['topic', 'partition', '"offset"', ...(end.relation === 'duplicates' ? ['event_index'] : [])];
}

function placeOf(row: SqlRow, end: number): Cursor {
  const key = [String(row.topic), Number(row.partition), Number(row.offset)];
  return {
    timeMs: Number(row.received_at),
    end,
    key: row.event_index === undefined ? key : [...key, Number(row.event_index)],
  };
}

/** Columns that an index begins with, the most telling first. */
const INDEXED: readonly string[] = ['mid', 'did', 'user_id'];

function conditionsOf(
  filter: EventFilter,
): readonly { readonly column: string; readonly value: ColumnValue }[] {
  const wanted = [
    ['mid', keyOrNone(filter.mid)],
    ['did', keyOrNone(filter.did)],
    ['user_id', keyOrNone(filter.user)],
    ['eid', filter.eid === undefined ? undefined : columnText(filter.eid)],
    ['channel', filter.channel === undefined ? undefined : columnText(filter.channel)],
  ] as const;
  return wanted.flatMap(([column, value]) => (value === undefined ? [] : [{ column, value }]));
}

function keyOrNone(text: string | undefined): string | undefined {
  return text === undefined ? undefined : keyText(text);
}

function rangeOf(
  { fromMs, toMs }: EventFilter,
  after: Cursor | undefined,
  end: number,
): readonly { readonly sql: string; readonly values: readonly ColumnValue[] }[] {
  const range: { sql: string; values: ColumnValue[] }[] = [];
  if (fromMs !== undefined) range.push({ sql: 'received_at >= ?', values: [wholeMs(fromMs)] });
  // Always there: without a bound SQLite sorts the whole table rather than read it through the index.
  range.push({ sql: 'received_at < ?', values: [wholeMs(toMs ?? Number.POSITIVE_INFINITY)] });
  if (after === undefined) return range;
  if (end === after.end) {
    const key = keyOf(ENDS[end]!);
    range.push({
      sql: `(received_at, ${key.join(', ')}) < (?${', ?'.repeat(key.length)})`,
      values: [after.timeMs, ...after.key],
    });
  } else {
    range.push({ sql: `received_at ${end > after.end ? '<=' : '<'} ?`, values: [after.timeMs] });
  }
  return range;
}

/** Rows of one relation and time keep the order in which the database gave them, which its collation decides. */
function compare(a: Cursor, b: Cursor): number {
  return b.timeMs - a.timeMs || a.end - b.end;
}

/** A cursor is time, relation and key of the last row: `<timeMs>:<0-3>:<topic>:<partition>:<offset>[:<index>]`. */
function cursorOf(text: string): Cursor {
  const [, timeMs, end, rest = ''] = /^(-?\d{1,16}):([0-3]):(.*)$/.exec(text) ?? [];
  const isDuplicate = ENDS[Number(end)]?.relation === 'duplicates';
  const key = parsePosition(rest, isDuplicate);
  if (key === undefined) {
    throw new MillraceError('ERR_REQUEST_INVALID', `after=${JSON.stringify(text)} is not the next of a page`);
  }
  return { timeMs: Number(timeMs), end: Number(end), key };
}

const COLUMNS =
  'received_at, eid, mid, did, channel, pdata_id, user_id, ets, job, topic, partition, "offset"';

function columnsOf(end: End): string {
  if (end.relation === 'events') return COLUMNS;
  return end.relation === 'duplicates' ? `${COLUMNS}, code, event_index` : `${COLUMNS}, code`;
}

async function rowAt(database: SqlReader, end: End, position: Position): Promise<SqlRow | undefined> {
  const key = keyOf(end);
  const sql = `SELECT * FROM ${end.relation} WHERE ${key.map(column => `${column} = ?`).join(' AND ')}`;
  const [row] = await database.all(sql, position.slice(0, key.length));
  return row;
}

function eventRowOf(outcome: EventOutcome, row: SqlRow): EventRow {
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
