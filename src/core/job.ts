import type { ErrorCode } from './errors.ts';
import type { JsonObject, TelemetryEvent } from './event.ts';
import type { Source } from './record.ts';

/** The stream jobs, in pipeline order; `summarise-route` serves the branch of derived events. */
export const JOB_NAMES = [
  'extract',
  'redact',
  'validate',
  'dedup',
  'flatten',
  'denormalise',
  'route',
  'summarise-route',
] as const;

/** The name of a stream job. */
export type JobName = (typeof JOB_NAMES)[number];

/** Keys of the first sightings, one space for each place that removes duplicates. */
export type MarkSpace = 'batch' | 'event' | 'route' | 'summary';

/** Reference data that events are denormalised with. */
export const DATASETS = ['device', 'user', 'content', 'dialcode'] as const;

/** The name of a master dataset. */
export type Dataset = (typeof DATASETS)[number];

/** One event on its way through the chain. `event` must not be mutated: others may hold it. */
export interface Item {
  /** Topic it stands on now, without the environment's prefix. */
  readonly topic: string;
  readonly event: TelemetryEvent;
  /** The input record and the index of the event in it. */
  readonly source: Source;
  /** The input record's time: what TTL, expiry and made-up times go by, epoch ms UTC. */
  readonly nowMs: number;
  /** What was seen in the text that the event was read from; absent where nobody looked. */
  readonly text?: TextFacts;
}

/** What a look at a JSON text tells a job that would otherwise walk the whole event. */
export interface TextFacts {
  readonly sizeBytes: number;
  /** Indexes of a batch's events that hold a null; absent where nobody looked at each of them. */
  readonly eventsWithNull?: ReadonlySet<number> | undefined;
}

/** An event leaving a job for a topic. Key: what partitions the topic. */
export interface Emission {
  readonly topic: string;
  readonly key: string | null;
  readonly event: JsonObject;
}

/** An event that goes on, as one emission or as copies to several topics. */
export interface Emitted {
  readonly kind: 'emit';
  readonly emissions: readonly Emission[];
}

/** An event set aside with its cause. */
export interface Rejected {
  readonly kind: 'reject';
  readonly code: ErrorCode;
  readonly reason: string;
  /** JSON pointer of the field at fault, `/context/cdata/2/id`; null where no single field is. */
  readonly pointer: string | null;
  readonly emission: Emission;
}

/** An event discarded on purpose; `emission` where it is kept on a topic of its own (duplicates). */
export interface Dropped {
  readonly kind: 'drop';
  readonly code: ErrorCode;
  readonly reason: string;
  readonly emission: Emission | null;
}

/** What became of one event: exactly one of these. */
export type Outcome = Emitted | Rejected | Dropped;

/** What became of an input of a job. */
export interface Verdict {
  /** Events that the input held: one, but for a batch that `extract` opened. Same order as in the batch. */
  readonly outcomes: readonly Outcome[];
  /** New events that the job made from it (share items, assessment copies, audit LOGs); counted apart. */
  readonly derived: readonly Emission[];
}

/** A key that must be looked up, or was seen here first. */
export interface MarkKey {
  readonly space: MarkSpace;
  readonly key: string;
}

/** A first sighting to be remembered: durable together with the outputs. */
export interface Mark extends MarkKey {
  readonly source: Source;
  readonly timeMs: number;
}

/** A row of a master dataset. */
export interface CacheKey {
  readonly dataset: Dataset;
  readonly key: string;
}

/**
 * The key that jobs look a row up by: that of a dialcode in upper case, as codes are printed in either; every other
 * id as it is.
 */
export function rowKeyOf(dataset: Dataset, id: string): string {
  return dataset === 'dialcode' ? id.toUpperCase() : id;
}

/** The keys a job needs for a batch; fetched in one round trip. Repeats are allowed. */
export interface ReadPlan {
  readonly marks: readonly MarkKey[];
  readonly rows: readonly CacheKey[];
}

/** The answers to a {@link ReadPlan}. */
export interface Reads {
  /** True where the key was first seen elsewhere and the mark still lives at `item.nowMs`. */
  isSeen(key: MarkKey, item: Item): boolean;
  /** The row, or undefined where the dataset has none. */
  row(key: CacheKey): JsonObject | undefined;
}

/** The answer of a job to a batch. */
export interface JobResult {
  /** One per item, same order. */
  readonly verdicts: readonly Verdict[];
  readonly marks: readonly Mark[];
  /** The original's metric names with `_`; deltas. */
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * A stream job: a pure function of a batch. It never awaits, reads no clock and no world; the same batch with
 * the same reads gives the same answer, so a replay after a crash changes nothing.
 */
export interface Job {
  readonly name: JobName;
  /** The job of the original that it stands in for, one line. */
  readonly replaces: string;
  readonly does: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Where the runtime puts a record that is not a JSON object. */
  readonly unreadableTopic: string;
  plan(batch: readonly Item[]): ReadPlan;
  process(batch: readonly Item[], reads: Reads): JobResult;
}

/** What jobs are made with; everything that touches the world is passed in. */
export interface JobDeps {
  readonly options: JobOptions;
  readonly schemas: SchemaRegistry;
  /** Name-based UUID (version 5): the same name gives the same id. */
  uuid(name: string): string;
  /** UTF-8 length of a text, bytes. */
  byteLength(text: string): number;
}

/** The options of the jobs, by configuration section. */
export interface JobOptions {
  readonly extract: { readonly eventBytesMax: number };
  readonly redact: { readonly eids: readonly string[] };
  readonly validate: { readonly channelDefault: string };
  readonly dedup: { readonly producers: readonly string[]; readonly ttlMs: number };
  readonly flatten: { readonly secondaryEids: readonly string[] };
  readonly denormalise: {
    readonly expiryMonths: number;
    readonly skipEids: readonly string[];
    readonly permitEids: readonly string[];
    readonly collectionMiss: boolean;
  };
  readonly route: { readonly validation: boolean; readonly deduplication: boolean };
}

/** A broken rule of a schema. */
export interface Violation {
  /** JSON pointer of the field at fault in the event; a missing or surplus field is named itself. */
  readonly pointer: string;
  /** Plain words: what the rule asks for. */
  readonly message: string;
}

/** The schemas that events are held against. */
export interface SchemaRegistry {
  /**
   * Verdicts of the schemas of the events' eids (lower-cased), in their order: null valid, undefined no such schema. An
   * event that a pattern takes more than 250 ms of CPU for breaks its schema.
   */
  validateEvents(events: readonly TelemetryEvent[]): readonly (Violation | null | undefined)[];
  /** Verdict of the last job's own check (`search`, `summary` or `envelope`), by the event's eid. */
  validateRouted(event: TelemetryEvent): Violation | null;
}
