import type {
  FailedDocument,
  FailedEventDocument,
  FailedFilter,
  FailedRow,
  TraceDocument,
} from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { TableReader } from '../../core/ports.ts';
import type { ColumnValue } from '../../core/relations.ts';
import { findEvent, searchEvents } from './event-search.ts';
import { keyText } from './key-text.ts';
import { jsonOrText, pageRows, parsePosition, wholeMs } from './look-up.ts';
import { type SqlDatabase, type SqlReader, type SqlRow, textOf } from './sql-database.ts';
import { type ArchivedPosition, sightingsOf, TRACE_RELATIONS, type TraceRow } from './trace.ts';

/** What is needed to tell an event's path besides the tables. */
export interface ReaderContext {
  readonly environment: string;
  /** Events that pass the job `redact`. */
  readonly redactEids: readonly string[];
}

const TRACE_ROWS_MAX = 200;

/** The look-ups of {@link TableReader} over a database that has the schema; closing it closes the database. */
export function createTableReader(database: SqlDatabase, context: ReaderContext): TableReader {
  return {
    trace: mid => traceOf(database, mid, context),
    failed: filter => failedPage(database, filter),
    failedEvent: id => failedEventOf(database, id),
    events: filter => searchEvents(database, filter),
    event: id => findEvent(database, id, context.environment),
    lastTimes: () => lastTimesOf(database),
    sizeBytes: () => database.sizeBytes(),
    close: () => database.close(),
  };
}

async function traceOf(database: SqlReader, mid: string, context: ReaderContext): Promise<TraceDocument> {
  const rows: TraceRow[] = [];
  for (const { relation, columns } of TRACE_RELATIONS) {
    const sql = `SELECT ${columns} FROM ${relation} WHERE mid = ? ORDER BY received_at LIMIT ${TRACE_ROWS_MAX}`;
    const found = await database.all(sql, [keyText(mid)]);
    rows.push(...found.map(row => traceRowOf(relation, row)));
  }
  const archived = new Map<TraceRow, readonly ArchivedPosition[]>();
  for (const row of rows) archived.set(row, await archivedAt(database, row));
  return { mid, sightings: sightingsOf(rows, { ...context, archived: row => archived.get(row) ?? [] }) };
}

async function archivedAt(
  database: SqlReader,
  { topic, partition, offset }: TraceRow,
): Promise<readonly ArchivedPosition[]> {
  const sql = `
    SELECT object, offset_runs FROM archive_objects
    WHERE topic = ? AND partition = ? AND from_offset = (
      SELECT max(from_offset) FROM archive_objects WHERE topic = ? AND partition = ? AND from_offset <= ?
    )`;
  const rows = await database.all(sql, [topic, partition, topic, partition, offset]);
  return rows.map(row => ({ object: String(row.object), runs: JSON.parse(String(row.offset_runs)) }));
}

function traceRowOf(relation: TraceRow['relation'], row: SqlRow): TraceRow {
  return {
    relation,
    eid: textOf(row.eid),
    topic: String(row.topic),
    partition: Number(row.partition),
    offset: Number(row.offset),
    job: textOf(row.job),
    source: textOf(row.source),
    receivedAtMs: Number(row.received_at),
    code: textOf(row.code),
    reason: textOf(row.reason),
    pointer: textOf(row.pointer),
  };
}

const FAILED_COLUMNS = 'id, received_at, job, code, reason, pointer, mid, topic, partition, "offset"';

async function failedPage(database: SqlReader, filter: FailedFilter): Promise<FailedDocument> {
  const limit = pageRows(filter.limit);
  const where: string[] = [];
  const values: ColumnValue[] = [];
  const add = (condition: string, ...operands: readonly ColumnValue[]): void => {
    where.push(condition);
    values.push(...operands);
  };
  if (filter.code !== undefined) add('code = ?', keyText(filter.code));
  if (filter.job !== undefined) add('job = ?', keyText(filter.job));
  if (filter.fromMs !== undefined) add('received_at >= ?', wholeMs(filter.fromMs));
  if (filter.toMs !== undefined) add('received_at < ?', wholeMs(filter.toMs));
  if (filter.after !== undefined) {
    add('(received_at, topic, partition, "offset") < (?, ?, ?, ?)', ...cursorOf(filter.after));
  }
  // One row more than asked for says whether there is a next page.
  const rows = await database.all(
    `SELECT ${FAILED_COLUMNS} FROM failed ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
     ORDER BY received_at DESC, topic DESC, partition DESC, "offset" DESC LIMIT ?`,
    [...values, limit + 1],
  );
  const failed = rows.slice(0, limit).map(failedRowOf);
  const last = failed.at(-1);
  return { failed, next: rows.length > limit && last !== undefined ? `${last.timeMs}:${last.id}` : null };
}

/** A cursor is the time and the id of the last row of a page: `<timeMs>:<topic>:<partition>:<offset>`. */
function cursorOf(text: string): readonly ColumnValue[] {
  const match = /^(-?\d{1,16}):(.*)$/.exec(text);
  const position = parsePosition(match?.[2] ?? '');
  if (match === null || position === undefined) {
    throw new MillraceError('ERR_REQUEST_INVALID', `after=${JSON.stringify(text)} is not the next of a page`);
  }
  return [Number(match[1]), ...position];
}

async function failedEventOf(database: SqlReader, id: string): Promise<FailedEventDocument> {
  const position = parsePosition(id);
  const sql = `SELECT ${FAILED_COLUMNS}, raw FROM failed WHERE topic = ? AND partition = ? AND "offset" = ?`;
  const [row] = position === undefined ? [] : await database.all(sql, position);
  if (row === undefined) {
    throw new MillraceError('ERR_NOT_FOUND', `no rejected event ${JSON.stringify(id)}`, {
      remedy: 'Take the id from: millrace failed',
    });
  }
  return { ...failedRowOf(row), event: jsonOrText(String(row.raw)) };
}

function failedRowOf(row: SqlRow): FailedRow {
  return {
    id: String(row.id),
    timeMs: Number(row.received_at),
    job: textOf(row.job) ?? '',
    code: textOf(row.code) ?? '',
    reason: textOf(row.reason) ?? '',
    pointer: textOf(row.pointer),
    mid: textOf(row.mid),
    topic: String(row.topic),
    partition: Number(row.partition),
    offset: Number(row.offset),
  };
}

async function lastTimesOf(database: SqlReader): ReturnType<TableReader['lastTimes']> {
  const last = async (relation: 'events' | 'failed'): Promise<number | null> => {
    const [row] = await database.all(`SELECT max(received_at) AS last_ms FROM ${relation}`, []);
    return row?.last_ms === null || row?.last_ms === undefined ? null : Number(row.last_ms);
  };
  return { receivedAtMs: await last('events'), rejectedAtMs: await last('failed') };
}
