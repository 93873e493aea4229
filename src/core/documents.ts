import type { Json, JsonObject } from './event.ts';
import type { Dataset } from './job.ts';

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
  /** Deltas summed since the environment began; the original's metric names with `_`, prefixed by the job. */
  readonly counters: Readonly<Record<string, number>>;
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

/** What the HTTP routes and, through them, the command line ask of a running pipeline. Full topic names. */
export interface Backend {
  status(): Promise<StatusDocument>;
  jobs(): readonly JobDocument[];
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
