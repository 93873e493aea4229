import type { CacheKey, Dataset, MarkKey, MarkSpace, ReadPlan, Reads } from '../core/job.ts';
import type { Cache, Sighting, StateStore } from '../core/ports.ts';
import type { LogRecord } from '../core/record.ts';
import { isSeenElsewhere } from '../core/sighting.ts';
import { bareTopic } from '../core/topics.ts';
import { type ChainInput, type ChainOptions, type ChainOutput, type ChainResult, runChain } from './chain.ts';
import { addCounters } from './counters.ts';
import { decodeRecord } from './decode.ts';

/**
 * Runs records of the log through a chain. A record that is not a JSON object is rejected to the topic that
 * the job which reads it names, and counted like any other input of that job.
 *
 * @param environment  prefix of the records' topics
 */
export async function runRecords(
  options: ChainOptions,
  environment: string,
  records: readonly LogRecord[],
): Promise<ChainResult> {
  const inputs: ChainInput[] = [];
  const unreadable: ChainOutput[] = [];
  const counters: Record<string, number> = {};
  const count = (name: string) => {
    counters[name] = (counters[name] ?? 0) + 1;
  };
  for (const record of records) {
    const topic = bareTopic(environment, record.topic);
    const job = options.jobs.find(reader => reader.inputs.includes(topic))!;
    const decoded = decodeRecord(record, topic, job);
    if ('input' in decoded) {
      inputs.push(decoded.input);
      continue;
    }
    unreadable.push(decoded.unreadable);
    count(`edge.${job.name}.${topic}`);
    count(`${job.name}.received`);
    count(`${job.name}.rejected`);
    count(`topic.${job.unreadableTopic}`);
  }
  const result = await runChain(options, inputs);
  if (unreadable.length === 0) return result;
  addCounters(counters, result.counters);
  return { outputs: [...result.outputs, ...unreadable], marks: result.marks, counters };
}

/** Answers a job's plan from the stores: one round trip to each, side by side. */
export async function readPlanned(
  stores: { readonly state: Pick<StateStore, 'seen'>; readonly cache: Pick<Cache, 'get'> },
  plan: ReadPlan,
): Promise<Reads> {
  if (plan.marks.length === 0 && plan.rows.length === 0) return NO_READS;
  const rows = distinct(plan.rows);
  const [sightings, found] = await Promise.all([
    plan.marks.length === 0 ? [] : stores.state.seen(plan.marks),
    rows.keys.length === 0 ? [] : stores.cache.get(rows.keys),
  ]);
  const seen = sightingsOf(plan.marks, sightings);
  return {
    isSeen: ({ space, key }, item) => isSeenElsewhere(seen.get(space)?.get(key), item.source, item.nowMs),
    row({ dataset, key }) {
      const index = rows.indexes.get(dataset)?.get(key);
      return index === undefined ? undefined : found[index];
    },
  };
}

const NO_READS: Reads = { isSeen: () => false, row: () => undefined };

/** The sightings that there are, by space and key: of most keys there is none, so nothing is put into a table. */
function sightingsOf(
  keys: readonly MarkKey[],
  sightings: readonly (Sighting | undefined)[],
): ReadonlyMap<MarkSpace, ReadonlyMap<string, Sighting>> {
  const spaces = new Map<MarkSpace, Map<string, Sighting>>();
  for (let i = 0; i < sightings.length; i++) {
    const sighting = sightings[i];
    if (sighting === undefined) continue;
    const { space, key } = keys[i]!;
    const known = spaces.get(space) ?? new Map<string, Sighting>();
    spaces.set(space, known);
    known.set(key, sighting);
  }
  return spaces;
}

/** The distinct keys of rows, which the events of a batch have in common, and where each lies among them. */
function distinct(keys: readonly CacheKey[]) {
  const indexes = new Map<Dataset, Map<string, number>>();
  const found: CacheKey[] = [];
  for (const key of keys) {
    let known = indexes.get(key.dataset);
    if (known === undefined) {
      known = new Map();
      indexes.set(key.dataset, known);
    }
    if (known.has(key.key)) continue;
    known.set(key.key, found.length);
    found.push(key);
  }
  return { keys: found, indexes };
}
