/**
 * The pipeline's topics, without the environment's prefix. Names are the original's where it has one; the
 * ones it lacks (`telemetry.valid` in this place, `telemetry.deduplicated`, `telemetry.denorm.error`,
 * `telemetry.dropped`) lie between jobs that it ran as one, or hold what it threw away.
 *
 * - `input`: written from outside, read by the chain; always stored
 * - `output`: leaves the chain; always stored
 * - `between`: from one job to the next; stored only where `chain.split` or `topics.store=all` says so, but
 *   always counted
 * - `internal`: the product's own notes, partition 0 only; not archived and not listed
 */
export const TOPICS = {
  'telemetry.ingest': 'input',
  'telemetry.derived': 'input',

  'telemetry.assess.redact': 'between',
  'telemetry.log': 'between',
  'telemetry.raw': 'between',
  'telemetry.valid': 'between',
  'telemetry.deduplicated': 'between',
  'telemetry.unique': 'between',
  'telemetry.unique.primary': 'between',
  'telemetry.unique.secondary': 'between',
  'telemetry.error': 'between',
  'telemetry.denorm': 'between',
  'telemetry.denorm.error': 'between',
  'telemetry.derived.unique': 'between',

  'telemetry.extractor.duplicate': 'output',
  'telemetry.extractor.failed': 'output',
  'telemetry.assess.raw': 'output',
  'telemetry.audit': 'output',
  'telemetry.failed': 'output',
  'telemetry.duplicate': 'output',
  'telemetry.dropped': 'output',
  'druid.events.telemetry': 'output',
  'druid.events.summary': 'output',
  'druid.events.log': 'output',
  'druid.events.error': 'output',

  'archive.intents': 'internal',
  'operations.probe': 'internal',
} as const satisfies Record<string, 'input' | 'output' | 'between' | 'internal'>;

/** A topic's name without prefix. */
export type TopicName = keyof typeof TOPICS;

/** Where a topic stands in the chain. */
export type TopicKind = (typeof TOPICS)[TopicName];

/** Kind of a topic by name; undefined where no such topic is declared. */
export function topicKind(name: string): TopicKind | undefined {
  return Object.hasOwn(TOPICS, name) ? TOPICS[name as TopicName] : undefined;
}

/** The full name in an environment. */
export function fullTopic(environment: string, name: string): string {
  return `${environment}.${name}`;
}

/** A topic's name without the environment's prefix, if it has it: the dataset of archives and tables. */
export function bareTopic(environment: string, topic: string): string {
  return topic.startsWith(`${environment}.`) ? topic.slice(environment.length + 1) : topic;
}
