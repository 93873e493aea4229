import type {
  ArchiveObject,
  EventDocument,
  EventFilter,
  EventsDocument,
  FailedDocument,
  FailedEventDocument,
  FailedFilter,
  OffsetRange,
  QueryDocument,
  TraceDocument,
} from './documents.ts';
import type { MillraceError } from './errors.ts';
import type { JsonObject } from './event.ts';
import type { CacheKey, Dataset, Mark, MarkKey } from './job.ts';
import type { LogRecord, NewRecord, Source, ValueText } from './record.ts';
import type { TableRow } from './relations.ts';

/** Records for one partition of one topic (full name, with the environment's prefix). */
export interface Append {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly NewRecord[];
}

/** The next offset a consumer group will read. */
export interface GroupOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** How far a group is, as the log sees it. */
export interface GroupProgress extends GroupOffset {
  /**
   * Data records of the partition that lie before the offset. Absent where that is the offset itself; where a log
   * keeps records of its own between them (the ends of transactions), offsets do not count data.
   */
  readonly passed?: number;
}

/** What becomes durable together, or not at all. */
export interface Commit {
  readonly appends: readonly Append[];
  readonly offsets?: readonly GroupOffset[];
  /** What {@link StateStore.mark} returned for the marks of these outputs. */
  readonly marks?: Uint8Array | null;
  /** Deltas by name; names are `<area>.<what>`. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** Where a commit came to lie. */
export interface CommitResult {
  /**
   * Offset of the first record of each append, in the order of the commit's appends; -1 where the log does not
   * tell: a commit with offsets or counters may be a transaction, whose records are not reported one by one.
   */
  readonly baseOffsets: readonly number[];
  /** Grows with every commit; 0 where the log has no such thing. See {@link StateStore.committed}. */
  readonly position: number;
}

/** Takes the records of one partition into a commit that is being made, in their order. */
export interface RecordWriter {
  /** Adds a record of this value. All of it is copied at once. */
  add(record: Omit<NewRecord, 'value'>, value: ValueText): void;
}

/**
 * A commit whose records are handed over one by one, as they are made: the log keeps their bytes, and no object
 * of each has to live until the commit. What was put in and never committed leaves nothing behind.
 */
export interface CommitDraft {
  /** The same writer for the same partition. Throws ERR_TOPIC_UNKNOWN. */
  writer(topic: string, partition: number): RecordWriter;
  /** As {@link Log.commit}; nothing may be added any more. Where it rejected it may be called again. */
  commit(rest: Omit<Commit, 'appends'>): Promise<CommitResult>;
}

/** A topic that the log keeps. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
}

/** Offsets that were stored once and can no longer be read, `[fromOffset, toOffset)`. */
export interface QuarantinedRange {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** A partition as the log sees it. */
export interface PartitionState {
  readonly partition: number;
  /** First offset still held. */
  readonly startOffset: number;
  /** Offset the next record gets. */
  readonly endOffset: number;
  /** Data records ever committed; retention does not reduce it. */
  readonly records: number;
  /** Absent or false where every offset is a data record; else lag goes by {@link GroupProgress.passed}. */
  readonly isCounted?: boolean;
  readonly bytes: number;
}

/** The whole of a log, for status and topics. */
export interface LogState {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly PartitionState[] }[];
  readonly offsets: readonly GroupProgress[];
  readonly counters: Readonly<Record<string, number>>;
  readonly quarantined: readonly QuarantinedRange[];
  readonly bytes: number;
}

/** How much a poll may return and how long it may wait; it returns as soon as there is one record. */
export interface PollLimit {
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly waitMsMax: number;
  /** Whether the memory of the values may be used again by the next poll; else it belongs to the caller. */
  readonly isLent?: boolean;
}

/** One member of a consumer group. Starts at the group's committed offsets, else at the oldest record. */
export interface Consumer {
  /** Records of the subscribed topics, offset order within a partition. Empty when the wait ran out. */
  poll(limit: PollLimit): Promise<readonly LogRecord[]>;
  /** True when everything durable at the call has been handed out by `poll`. */
  isCaughtUp(): boolean;
  close(): Promise<void>;
}

/** The durable stream store. Topic names are full names. */
export interface Log {
  /** Partitions of a declared topic; throws ERR_TOPIC_UNKNOWN. */
  partitionCount(topic: string): number;
  /** Resolves when everything in the commit is durable; rejects with an `unavailable` error, nothing kept. */
  commit(commit: Commit): Promise<CommitResult>;
  /** Begins a commit; absent where the log has no form of its own to keep records in until then. */
  draft?(): CommitDraft;
  /** Rejects with the reason of the signal where it is aborted before the member has joined. */
  consume(group: string, topics: readonly string[], signal?: AbortSignal): Promise<Consumer>;
  /**
   * Up to `recordsMax` records from an offset on, fewer where they are large; none only past the end. Skips
   * quarantined ones.
   */
  read(
    topic: string,
    partition: number,
    fromOffset: number,
    recordsMax: number,
  ): Promise<readonly LogRecord[]>;
  describe(): Promise<LogState>;
  close(): Promise<void>;
}

/** A log as the process that serves HTTP holds it. */
export interface ServedLog extends Log {
  /**
   * Why nothing may be accepted from outside now, or null. Costs a comparison; the look at disk, lag or broker
   * behind it is a moment old.
   */
  admission(): MillraceError | null;
  /** True when every group has been handed everything durable and has come back for more. */
  isIdle(): boolean | Promise<boolean>;
}

/** What a mark says of the first sighting of its key. */
export interface Sighting {
  /** From this time on (an event's `nowMs`) the key counts as new again. */
  readonly expiresAtMs: number;
  /** Where the key was first seen; null where the store cannot hold a mark whose outputs are not durable. */
  readonly source: Source | null;
  /** The mark whose place it took when that one had run out: replayed events may be older than the mark they meet. */
  readonly before?: Sighting;
}

/**
 * First sightings of keys, exact, with a time to live. A mark must never be durable before the outputs it
 * stands for: `mark` either returns bytes that the outputs' commit carries, or (a store of its own) writes
 * marks that hold the position of the sighting, so that a replayed event meets its own mark and passes.
 */
export interface StateStore {
  /** The living mark of each key; one round trip. Same order as `keys`, which may repeat; undefined where none is. */
  seen(keys: readonly MarkKey[]): Promise<readonly (Sighting | undefined)[]>;
  /**
   * Called for each batch, marks or none, before its commit; with `isMore` for further marks of the same batch,
   * which must not wait for other batches: these may wait for this one. `conflict`: another process has marked
   * one of the keys since they were looked up, so the events must be looked at again; none of the marks was set,
   * since those of an event that is a duplicate after all must not stand in the way of others.
   */
  mark(marks: readonly Mark[], isMore?: boolean): Promise<Uint8Array | null | 'conflict'>;
  /** Called once for each batch, when the commit that carried its marks is durable at `position`. */
  committed(position: number): Promise<void>;
  close(): Promise<void>;
}

/** Master data for denormalisation. */
export interface Cache {
  /** One round trip for all keys. Same order; undefined where there is no row. */
  get(keys: readonly CacheKey[]): Promise<readonly (JsonObject | undefined)[]>;
  /** Durable and visible to every job when it resolves. */
  put(dataset: Dataset, rows: readonly { readonly key: string; readonly value: JsonObject }[]): Promise<void>;
  close(): Promise<void>;
}

/** An object in a store; `name` uses `/`. */
export interface ObjectInfo {
  readonly name: string;
  readonly sizeBytes: number;
}

/** A folder or bucket of immutable objects. */
export interface ObjectStore {
  /** Creates the object whole and durable; false where one of that name exists (which is left as it is). */
  create(name: string, bytes: Uint8Array): Promise<boolean>;
  /** Throws ERR_NOT_FOUND. */
  read(name: string): Promise<Uint8Array>;
  /** Every object whose name starts with the prefix, by name. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
}

/** Rows of events for queries. A row is named by the position of its record, so that a replay changes nothing. */
export interface TableStore {
  /** Adds the rows, all durable together or none; a row whose key is there already is left as it is. */
  insert(rows: readonly TableRow[]): Promise<void>;
  /** Deletes at most `rowsMax` rows of each relation that were received before; resolves with how many went. */
  expire(receivedBeforeMs: number, rowsMax: number): Promise<number>;
}

/** An archive object as it was written. */
export interface ArchiveEntry extends ArchiveObject {
  /** UTC date of the records, `YYYY-MM-DD`, or `invalid`. */
  readonly date: string;
  /** The object is the `part`th of `parts` (from 1) that share the range. */
  readonly part: number;
  readonly parts: number;
  /** Number of the sink's start that made it. */
  readonly epoch: number;
  /** The offsets of its lines, in their order, as runs of consecutive offsets. */
  readonly runs: readonly OffsetRange[];
}

/** What was archived, beside the objects themselves: they are the truth, this is for finding things in them. */
export interface ArchiveIndex {
  /** Adds the entries, all durable together; an object that is there already is left as it is. */
  addEntries(entries: readonly ArchiveEntry[]): Promise<void>;
  /** Undefined where the object is not recorded. */
  findEntry(object: string): Promise<ArchiveEntry | undefined>;
}

/** What is looked up in the tables by key; everything else goes through a {@link QueryRunner}. */
export interface TableReader {
  /** All that is known of an event; no sighting where nothing is. Names at most 200 rows of each relation. */
  trace(mid: string): Promise<TraceDocument>;
  /**
   * Rejected events, newest first. `limit` is 100 where it is absent, 1000 at most; `after` takes the `next` of
   * the page before. Throws ERR_REQUEST_INVALID for an `after` that is none.
   */
  failed(filter: FailedFilter): Promise<FailedDocument>;
  /** One rejected event; throws ERR_NOT_FOUND. */
  failedEvent(id: string): Promise<FailedEventDocument>;
  /** Events of every outcome, newest first; `limit` and `after` as for `failed`. */
  events(filter: EventFilter): Promise<EventsDocument>;
  /** One event with its record; throws ERR_NOT_FOUND. */
  event(id: string): Promise<EventDocument>;
  /** When the last event arrived that left the chain, and the last that was rejected; null for none. */
  lastTimes(): Promise<{ readonly receivedAtMs: number | null; readonly rejectedAtMs: number | null }>;
  /** Bytes that the tables take. */
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Runs the SQL of users: reads the relations and nothing else, under a deadline, a row cap and a memory cap. */
export interface QueryRunner {
  run(sql: string): Promise<QueryDocument>;
  close(): Promise<void>;
}
