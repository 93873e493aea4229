import type { Json, JsonObject } from './event.ts';
import type { Dataset } from './job.ts';
import type { SchemaDesk } from './schema-documents.ts';

/** How far a consumer group is behind on a topic, records. */
export interface GroupLag {
  readonly group: string;
  readonly lag: number;
}

/** One topic: full name, records ever committed, bytes held, partitions, groups that read it. */
export interface TopicDocument {
  readonly topic: string;
  readonly records: number;
  /** False where only the count is kept (a topic between fused jobs). */
  readonly stored: boolean;
  readonly bytes: number;
  readonly partitions: readonly {
    readonly partition: number;
    readonly startOffset: number;
    readonly endOffset: number;
  }[];
  readonly groups: readonly GroupLag[];
}

/** `topics list`. */
export interface TopicsDocument {
  readonly topics: readonly TopicDocument[];
}

/** One line of `topics tail`. `value` is the record parsed, or its text where it is not JSON. */
export interface TailDocument {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timeMs: number;
  readonly key: string | null;
  readonly value: Json;
}

/** One stage of an event's path. */
export interface StageDocument {
  readonly stage: string;
  readonly timeMs: number;
  readonly topic: string | null;
  readonly partition: number | null;
  readonly offset: number | null;
  readonly outcome: 'emit' | 'reject' | 'drop';
  readonly code: string | null;
  readonly reason: string | null;
  readonly pointer: string | null;
}

/** One arrival of an event and all that came of it. */
export interface SightingDocument {
  readonly receivedAtMs: number;
  readonly source: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly index: number;
  };
  readonly stages: readonly StageDocument[];
  readonly archive: readonly { readonly object: string; readonly line: number }[];
}

/** `trace MID`. */
export interface TraceDocument {
  readonly mid: string;
  readonly sightings: readonly SightingDocument[];
}

/** One rejected event. */
export interface FailedRow {
  /** `<topic>:<partition>:<offset>`. */
  readonly id: string;
  readonly timeMs: number;
  readonly job: string;
  readonly code: string;
  readonly reason: string;
  readonly pointer: string | null;
  readonly mid: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** `failed list`; `next` continues it, null at the end. */
export interface FailedDocument {
  readonly failed: readonly FailedRow[];
  readonly next: string | null;
}

/** `failed show ID`: the row and the event as it was set aside. */
export interface FailedEventDocument extends FailedRow {
  readonly event: Json;
}

/** Filters of `failed list`; times are half-open `[fromMs, toMs)`. */
export interface FailedFilter {
  readonly code?: string;
  readonly job?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly limit?: number;
  readonly after?: string;
}

/** `query SQL`. */
export interface QueryDocument {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly Readonly<Record<string, Json>>[];
  readonly truncated: boolean;
}

/** State of a component: `ok`, `degraded` (works, but look) or `failed`. */
export interface ComponentDocument {
  readonly name: string;
  readonly adapter: string;
  readonly state: 'ok' | 'degraded' | 'failed';
  readonly detail: string;
}

/** First law: received = emitted + rejected + dropped. */
export interface ConservationRow {
  readonly job: string;
  readonly received: number;
  readonly emitted: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly derived: number;
  readonly balanced: boolean;
}

/** Second law: what was emitted to a topic = what its reader received (plus what still waits). */
export interface EdgeRow {
  readonly topic: string;
  readonly reader: string;
  readonly emitted: number;
  readonly received: number;
  readonly waiting: number;
  readonly balanced: boolean;
}

/** `status`. */
export interface StatusDocument {
  readonly state: 'starting' | 'serving' | 'stopping';
  readonly version: string;
  readonly environment: string;
  readonly uptimeMs: number;
  readonly components: readonly ComponentDocument[];
  readonly conservation: readonly ConservationRow[];
  readonly edges: readonly EdgeRow[];
  /** Who runs the jobs, with the digest of the schemas that each has loaded. */
  readonly workers: readonly { readonly role: string; readonly schemasDigest: string }[];
  /** Deltas summed since the environment began; the original's metric names with `_`, prefixed by the job. */
  readonly counters: Readonly<Record<string, number>>;
  /** Digests of the event schemas: of the published set, and of what ships with the release. */
  readonly schemas: { readonly digest: string; readonly shippedDigest: string };
  readonly quarantined: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly fromOffset: number;
    readonly toOffset: number;
  }[];
  readonly idle: boolean;
}

/** One stream job. */
export interface JobDocument {
  readonly job: string;
  readonly replaces: string;
  readonly does: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** One archive object; it holds the records of its topic's `[fromOffset, toOffset)` of one UTC date. */
export interface ArchiveObject {
  readonly object: string;
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly records: number;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** `archive ls`. */
export interface ArchiveDocument {
  readonly objects: readonly ArchiveObject[];
}

/** A half-open range of offsets. */
export interface OffsetRange {
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** `archive verify`: made from the object store alone, but for the quarantined ranges. */
export interface ArchiveVerifyDocument {
  readonly ok: boolean;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly archivedTo: number;
      readonly gaps: readonly OffsetRange[];
      readonly overlaps: readonly OffsetRange[];
      readonly quarantined: readonly OffsetRange[];
      readonly damaged: readonly string[];
    }[];
  }[];
}

/** `archive status`. */
export interface ArchiveStatusDocument {
  readonly topics: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly archivedTo: number;
    readonly endOffset: number;
  }[];
}

/** What became of an event at the end of its path, as far as the tables tell; a duplicate is a drop of its own. */
export type EventOutcome = 'emit' | 'reject' | 'drop' | 'duplicate';

/** One event as the tables know it: where it ended. */
export interface EventRow {
  /** `<outcome>:<topic>:<partition>:<offset>:<index>`; the index is 0 but for events of a duplicate batch. */
  readonly id: string;
  readonly outcome: EventOutcome;
  readonly receivedAtMs: number;
  readonly eid: string | null;
  readonly mid: string | null;
  readonly did: string | null;
  readonly channel: string | null;
  readonly pdataId: string | null;
  readonly userId: string | null;
  /** Time of the event as its client says, epoch ms. */
  readonly ets: number | null;
  readonly job: string | null;
  readonly code: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Filters of `GET /v1/events`; all must hold. Times are half-open `[fromMs, toMs)`, by when it was received. */
export interface EventFilter {
  readonly outcome?: EventOutcome;
  readonly mid?: string;
  readonly did?: string;
  readonly channel?: string;
  readonly eid?: string;
  readonly user?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly limit?: number;
  readonly after?: string;
}

/**
 * A page of events, newest first. A page may hold fewer rows than asked for, or none, and still have a `next`:
 * each call looks at a bounded number of rows.
 */
export interface EventsDocument {
  readonly events: readonly EventRow[];
  readonly next: string | null;
}

/** One event with why it ended there, its input's position and the record itself. */
export interface EventDocument extends EventRow {
  readonly reason: string | null;
  readonly pointer: string | null;
  /** The record of the input topic and the event's index in it; null where it is not known. */
  readonly source: SightingDocument['source'] | null;
  /** As it left the chain; null for events that were dropped, of which only the columns are kept. */
  readonly event: Json;
}

/** The store's side of a {@link PulseDocument}: sizes in bytes, times epoch ms UTC. */
export interface VitalsDocument {
  /** When the last event arrived and when the last was rejected, as far as the tables hold; null for none. */
  readonly lastReceivedAtMs: number | null;
  readonly lastRejectedAtMs: number | null;
  readonly disk: {
    readonly logBytes: number;
    /** Past this the oldest segments go that every sink has passed. */
    readonly logBytesMax: number;
    readonly logRetentionMs: number;
    readonly tablesBytes: number;
    readonly tablesRetentionMs: number;
    readonly freeBytes: number;
    /** Below this ingest answers 503. */
    readonly freeBytesMin: number;
  };
}

/** What `GET /v1/stream` sends once a second. Counts are since the process began, unless their type says else. */
export interface PulseDocument extends VitalsDocument {
  readonly timeMs: number;
  readonly status: StatusDocument;
  readonly topics: readonly TopicDocument[];
  readonly ingest: {
    readonly requests: number;
    readonly batches: number;
    readonly events: number;
    readonly inFlight: number;
    /** Refused requests by error code. */
    readonly refused: Readonly<Record<string, number>>;
    /** Upper bounds of the answers of the last minute, ms; null where there were none. */
    readonly latencyMsP50: number | null;
    readonly latencyMsP99: number | null;
  };
  readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number };
}

/** `GET /v1/relations`: what SQL may read. */
export interface RelationsDocument {
  readonly relations: readonly { readonly relation: string; readonly columns: readonly string[] }[];
}

/** What the HTTP routes and, through them, the command line ask of a running pipeline. Full topic names. */
export interface Backend {
  status(): Promise<StatusDocument>;
  jobs(): readonly JobDocument[];
  readonly schemas: SchemaDesk;
  topics(): Promise<TopicsDocument>;
  /** Records of a topic, all partitions or one, from an offset on; throws ERR_TOPIC_UNKNOWN. */
  tail(
    topic: string,
    options: { readonly partition?: number; readonly fromOffset: number; readonly recordsMax: number },
  ): Promise<readonly TailDocument[]>;
  /** Puts one record per line into an input topic; resolves with how many once durable. */
  produce(topic: string, lines: readonly Uint8Array[]): Promise<number>;
  trace(mid: string): Promise<TraceDocument>;
  failed(filter: FailedFilter): Promise<FailedDocument>;
  /** Throws ERR_NOT_FOUND. */
  failedEvent(id: string): Promise<FailedEventDocument>;
  query(sql: string): Promise<QueryDocument>;
  events(filter: EventFilter): Promise<EventsDocument>;
  /** Throws ERR_NOT_FOUND. */
  event(id: string): Promise<EventDocument>;
  vitals(): Promise<VitalsDocument>;
  /** Sends made-up valid events through ingest; resolves with how many were accepted. */
  sample(count: number): Promise<number>;
  cachePut(
    dataset: Dataset,
    rows: readonly { readonly key: string; readonly value: JsonObject }[],
  ): Promise<void>;
  /** Throws ERR_NOT_FOUND. */
  cacheGet(dataset: Dataset, key: string): Promise<JsonObject>;
  archiveStatus(): Promise<ArchiveStatusDocument>;
  archiveFlush(): Promise<ArchiveStatusDocument>;
  archiveVerify(): Promise<ArchiveVerifyDocument>;
  archiveObjects(): Promise<ArchiveDocument>;
  /** The object's JSON lines, uncompressed; throws ERR_NOT_FOUND. */
  archiveRead(object: string): Promise<Uint8Array>;
}
