import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadSchemas } from '../../src/adapters/schemas/ajv-schemas.ts';
import type { Json, JsonObject } from '../../src/core/event.ts';
import type {
  Dataset,
  Emission,
  Item,
  Job,
  JobDeps,
  JobOptions,
  JobResult,
  Mark,
  Outcome,
  Reads,
  SchemaRegistry,
  Violation,
} from '../../src/core/job.ts';
import { uuidOf } from '../../src/runtime/uuid.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A day after the fixtures' events. */
export const NOW_MS = 1_718_100_000_000;

/** Options as an environment named `staging` has them. */
export const OPTIONS: JobOptions = {
  extract: { eventBytesMax: 1_048_576 },
  redact: { eids: ['ASSESS', 'RESPONSE'] },
  validate: { channelDefault: 'b00bc992ef25f1a9a8d63291e20efc8d' },
  dedup: { producers: ['staging.sunbird.portal', 'staging.sunbird.desktop'], ttlMs: 3_600_000 },
  flatten: { secondaryEids: ['INTERACT', 'IMPRESSION', 'SHARE_ITEM'] },
  denormalise: { expiryMonths: 3, skipEids: ['INTERRUPT'], permitEids: ['AUDIT'], collectionMiss: true },
  route: { validation: true, deduplication: true },
};

const schemas = await loadSchemas(`${ROOT}schemas`);

/** What jobs are made with: shipped schemas, the given options over {@link OPTIONS}. */
export function depsOf(options: Partial<JobOptions> = {}): JobDeps {
  return {
    options: { ...OPTIONS, ...options },
    schemas,
    uuid: uuidOf,
    byteLength: text => Buffer.byteLength(text, 'utf8'),
  };
}

/** The parsed JSON of a file under `fixtures/`. */
export function fixture(path: string): JsonObject {
  return JSON.parse(readFileSync(`${ROOT}fixtures/${path}`, 'utf8')) as JsonObject;
}

/** The parsed lines of a file under `fixtures/`. */
export function fixtureLines(path: string): readonly JsonObject[] {
  const lines = readFileSync(`${ROOT}fixtures/${path}`, 'utf8').trim().split('\n');
  return lines.map(line => JSON.parse(line) as JsonObject);
}

/** Items of one partition, one offset each, frozen through and through. */
export function itemsOf(
  topic: string,
  events: readonly Json[],
  nowMs: (index: number) => number = () => NOW_MS,
): Item[] {
  return events.map((event, offset) =>
    freeze({
      topic,
      event: event as JsonObject,
      source: { topic: 'telemetry.ingest', partition: 0, offset, index: 0 },
      nowMs: nowMs(offset),
    }),
  );
}

/** What a job may read: rows by dataset and key, and earlier marks. */
export interface World {
  readonly rows?: Partial<Record<Dataset, Readonly<Record<string, JsonObject>>>>;
  readonly marks?: readonly Mark[];
}

/** Reads over a world: a mark lives for the TTL; only what the plan named is there. */
function readsOf(job: Job, items: readonly Item[], world: World = {}): Reads {
  const plan = job.plan(items);
  const planned = new Set([
    ...plan.marks.map(({ space, key }) => `${space} ${key}`),
    ...plan.rows.map(({ dataset, key }) => `${dataset} ${key}`),
  ]);
  const mustBePlanned = (name: string): void => {
    if (!planned.has(name)) throw new Error(`read without a plan: ${name}`);
  };
  const marked = new Map((world.marks ?? []).map(mark => [`${mark.space} ${mark.key}`, mark.timeMs]));
  return {
    isSeen({ space, key }, item) {
      mustBePlanned(`${space} ${key}`);
      const timeMs = marked.get(`${space} ${key}`);
      return timeMs !== undefined && item.nowMs < timeMs + OPTIONS.dedup.ttlMs;
    },
    row({ dataset, key }) {
      mustBePlanned(`${dataset} ${key}`);
      const rows = world.rows?.[dataset] ?? {};
      return Object.hasOwn(rows, key) ? rows[key] : undefined;
    },
  };
}

/** Plans and processes a batch. */
export function run(job: Job, items: readonly Item[], world: World = {}): JobResult {
  return job.process(items, readsOf(job, items, world));
}

/** The only outcome of each item. */
export function outcomesOf(result: JobResult): readonly Outcome[] {
  return result.verdicts.flatMap(({ outcomes }) => outcomes);
}

/** Everything that left, in order: own emissions of an item, then what was derived from it. */
export function emissionsOf(result: JobResult): readonly Emission[] {
  return result.verdicts.flatMap(({ outcomes, derived }) => [
    ...outcomes.flatMap(outcome =>
      outcome.kind === 'emit' ? outcome.emissions : outcome.emission === null ? [] : [outcome.emission],
    ),
    ...derived,
  ]);
}

/** How many events reached each topic. */
export function topicCounts(result: JobResult): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { topic } of emissionsOf(result)) counts[topic] = (counts[topic] ?? 0) + 1;
  return counts;
}

/** Freezes a value and all it holds. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
  return value;
}

/** The verdict on one event. */
export function verdictOf(schemas: SchemaRegistry, event: JsonObject): Violation | null | undefined {
  return schemas.validateEvents([event])[0];
}
