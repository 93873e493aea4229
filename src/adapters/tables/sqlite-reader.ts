import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import type {
  EventDocument,
  EventFilter,
  EventsDocument,
  FailedDocument,
  FailedEventDocument,
  FailedFilter,
  FailedRow,
  TraceDocument,
} from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Json } from '../../core/event.ts';
import { storeError } from '../../core/store-error.ts';
import { findEvent, searchEvents } from './event-search.ts';
import { type ArchivedPosition, sightingsOf, TRACE_RELATIONS, type TraceRow } from './trace.ts';

/** What is looked up in the tables by key; everything else goes through a query process. */
export interface TableReader {
  /** All that is known of an event; no sighting where nothing is. Names at most 200 rows of each relation. */
  trace(mid: string): TraceDocument;
  /**
   * Rejected events, newest first. `limit` is 100 where it is absent, 1000 at most; `after` takes the `next` of
   * the page before. Throws ERR_REQUEST_INVALID for an `after` that is none.
   */
  failed(filter: FailedFilter): FailedDocument;
  /** One rejected event; throws ERR_NOT_FOUND. */
  failedEvent(id: string): FailedEventDocument;
  /** See {@link searchEvents}. */
  events(filter: EventFilter): EventsDocument;
  /** One event with its record; throws ERR_NOT_FOUND. */
  event(id: string): EventDocument;
  /** When the last event arrived that left the chain, and the last that was rejected; null for none. */
  lastTimes(): { readonly receivedAtMs: number | null; readonly rejectedAtMs: number | null };
  close(): void;
}

/** Where the tables lie, and what is needed to tell an event's path. */
export interface TableReaderOptions {
  readonly file: string;
  readonly environment: string;
  /** Events that pass the job `redact`. */
  readonly redactEids: readonly string[];
}

const BUSY_MS_MAX = 5_000;
const TRACE_ROWS_MAX = 200;
const PAGE_ROWS = 100;
const PAGE_ROWS_MAX = 1000;

/** Opens the tables, which must exist, for look-ups that an index serves. */
export function openTableReader(options: TableReaderOptions): TableReader {
  const guarded = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw storeError(error, `tables ${options.file}`);
    }
  };
  return guarded(() => {
    const database = new DatabaseSync(options.file, { readOnly: true, timeout: BUSY_MS_MAX });
    return {
      trace: mid => guarded(() => traceOf(database, mid, options)),
      failed: filter => guarded(() => failedPage(database, filter)),
      failedEvent: id => guarded(() => failedEventOf(database, id)),
      events: filter => guarded(() => searchEvents(database, filter)),
      event: id => guarded(() => findEvent(database, id, options.environment)),
      lastTimes: () => guarded(() => lastTimesOf(database)),
      close: () => database.close(),
    };
  });
}

type Row = Readonly<Record<string, SQLOutputValue>>;

function traceOf(database: DatabaseSync, mid: string, options: TableReaderOptions): TraceDocument {
  const rows = TRACE_RELATIONS.flatMap(({ relation, columns }) =>
    database
      .prepare(
        `SELECT ${columns} FROM ${relation} WHERE mid = ? ORDER BY received_at LIMIT ${TRACE_ROWS_MAX}`,
      )
      .all(mid)
      .map(row => traceRowOf(relation, row)),
  );
  const archive = database.prepare(`
    SELECT object, offset_runs FROM archive_objects
    WHERE topic = ? AND partition = ? AND from_offset = (
      SELECT max(from_offset) FROM archive_objects WHERE topic = ? AND partition = ? AND from_offset <= ?
    )`);
  const archived = (topic: string, partition: number, offset: number): readonly ArchivedPosition[] =>
    archive.all(topic, partition, topic, partition, offset).map(row => ({
      object: String(row.object),
      runs: JSON.parse(String(row.offset_runs)),
    }));
  return { mid, sightings: sightingsOf(rows, { ...options, archived }) };
}

function traceRowOf(relation: TraceRow['relation'], row: Row): TraceRow {
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

function failedPage(database: DatabaseSync, filter: FailedFilter): FailedDocument {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit ?? PAGE_ROWS)), PAGE_ROWS_MAX);
  const where: string[] = [];
  const values: SQLInputValue[] = [];
  const add = (condition: string, ...operands: readonly SQLInputValue[]): void => {
    where.push(condition);
    values.push(...operands);
  };
  if (filter.code !== undefined) add('code = ?', filter.code);
  if (filter.job !== undefined) add('job = ?', filter.job);
  if (filter.fromMs !== undefined) add('received_at >= ?', filter.fromMs);
  if (filter.toMs !== undefined) add('received_at < ?', filter.toMs);
  if (filter.after !== undefined) {
    add('(received_at, topic, partition, "offset") < (?, ?, ?, ?)', ...cursorOf(filter.after));
  }
  // One row more than asked for says whether there is a next page.
  const rows = database
    .prepare(
      `SELECT ${FAILED_COLUMNS} FROM failed ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
       ORDER BY received_at DESC, topic DESC, partition DESC, "offset" DESC LIMIT ${limit + 1}`,
    )
    .all(...values);
  const failed = rows.slice(0, limit).map(failedRowOf);
  const last = failed.at(-1);
  return { failed, next: rows.length > limit && last !== undefined ? `${last.timeMs}:${last.id}` : null };
}

/** A cursor is the time and the id of the last row of a page: `<timeMs>:<topic>:<partition>:<offset>`. */
function cursorOf(text: string): readonly SQLInputValue[] {
  const match = /^(-?\d{1,16}):([^:]+):(\d{1,10}):(\d{1,16})$/.exec(text);
  if (match === null) {
    throw new MillraceError('ERR_REQUEST_INVALID', `after=${JSON.stringify(text)} is not the next of a page`);
  }
  return [Number(match[1]), match[2]!, Number(match[3]), Number(match[4])];
}

function failedEventOf(database: DatabaseSync, id: string): FailedEventDocument {
  const match = /^([^:]+):(\d{1,10}):(\d{1,16})$/.exec(id);
  const row =
    match === null
      ? undefined
      : database
          .prepare(
            `SELECT ${FAILED_COLUMNS}, raw FROM failed WHERE topic = ? AND partition = ? AND "offset" = ?`,
          )
          .get(match[1]!, Number(match[2]), Number(match[3]));
  if (row === undefined) throw new MillraceError('ERR_NOT_FOUND', `no rejected event ${JSON.stringify(id)}`);
  return { ...failedRowOf(row), event: jsonOrText(String(row.raw)) };
}

function failedRowOf(row: Row): FailedRow {
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

function lastTimesOf(database: DatabaseSync): ReturnType<TableReader['lastTimes']> {
  const last = (relation: 'events' | 'failed'): number | null => {
    const timeMs = database.prepare(`SELECT max(received_at) AS time FROM ${relation}`).get()?.time;
    return timeMs === null || timeMs === undefined ? null : Number(timeMs);
  };
  return { receivedAtMs: last('events'), rejectedAtMs: last('failed') };
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
