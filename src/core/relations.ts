const EVENT = [
  'eid',
  'mid',
  'did',
  'channel',
  'pdata_id',
  'ets',
  'ets_time',
  'syncts',
  'user_id',
  'object_id',
  'object_type',
  'dataset',
  'topic',
  'partition',
  'offset',
] as const;
const ORIGIN = ['job', 'source', 'received_at'] as const;
const CAUSE = ['code', 'reason', 'pointer'] as const;

/**
 * The relations that events are kept in, with their columns; `topic`, `partition` and `offset` (in
 * `duplicates` also `event_index`) name a row. Rows are made by the sink, stored by a `TableStore` and read by queries.
 *
 * - `events`: everything that left the last job (`druid.events.*`), one row per output position
 * - `failed`: everything that a job rejected
 * - `duplicates`: every duplicate; one row per event of a duplicate batch (`event_index` counts them from 0)
 * - `audit`: the copies on `telemetry.audit`
 * - `assess`: where the copies on `telemetry.assess.raw` lie; without their content, which holds answers
 * - `dropped`: what was discarded on purpose
 */
export const RELATIONS = {
  events: [...EVENT, ...ORIGIN, 'raw'],
  failed: [...EVENT, ...ORIGIN, ...CAUSE, 'id', 'raw'],
  duplicates: [...EVENT, 'event_index', ...ORIGIN, ...CAUSE, 'raw'],
  audit: [...EVENT, ...ORIGIN, 'raw'],
  assess: [...EVENT, ...ORIGIN],
  dropped: [...EVENT, ...ORIGIN, ...CAUSE],
} as const satisfies Record<string, readonly string[]>;

/** The name of a stored relation. */
export type RelationName = keyof typeof RELATIONS;

/** What SQL may read: the stored relations, `summaries` (a view of `events`) and the archive's list of objects. */
export const READABLE_RELATIONS: readonly string[] = [
  ...Object.keys(RELATIONS),
  'summaries',
  'archive_objects',
];

/** A value of a column. Times are epoch ms UTC. */
export type ColumnValue = string | number | null;

/** A text as a column holds it: U+FFFD in the place of NUL, which PostgreSQL takes in no text. */
export function columnText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

/** One row for a relation: a value for each of its columns, in the order of {@link RELATIONS}. */
export interface TableRow {
  readonly relation: RelationName;
  readonly values: readonly ColumnValue[];
}
