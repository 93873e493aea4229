import type { Item, ReadPlan, Reads } from '../core/job.ts';
import type { Cache, Sighting, StateStore } from '../core/ports.ts';
import type { LogRecord } from '../core/record.ts';
import { bareTopic } from '../core/topics.ts';
import { type ChainOptions, type ChainOutput, type ChainResult, runChain } from './chain.ts';
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
  const items: Item[] = [];
  const unreadable: ChainOutput[] = [];
  const counters: Record<string, number> = {};
  const count = (name: string) => {
    counters[name] = (counters[name] ?? 0) + 1;
  };
  for (const record of records) {
    const topic = bareTopic(environment, record.topic);
    const job = options.jobs.find(reader => reader.inputs.includes(topic))!;
    const decoded = decodeRecord(record, topic, job);
    if ('item' in decoded) {
      items.push(decoded.item);
      continue;
    }
    unreadable.push(decoded.unreadable);
    count(`edge.${job.name}.${topic}`);
    count(`${job.name}.received`);
    count(`${job.name}.rejected`);
    count(`topic.${job.unreadableTopic}`);
  }
  const result = await runChain(options, items);
  if (unreadable.length === 0) return result;
  for (const [name, delta] of Object.entries(result.counters)) counters[name] = (counters[name] ?? 0) + delta;
  return { outputs: [...result.outputs, ...unreadable], marks: result.marks, counters };
}

/** Answers a job's plan from the stores: one round trip to each, side by side. */
export async function readPlanned(
  stores: { readonly state: StateStore; readonly cache: Pick<Cache, 'get'> },
  plan: ReadPlan,
  batch: readonly Item[],
): Promise<Reads> {
  const markKeys = distinct(plan.marks, key => `${key.space}\0${key.key}`);
  const rowKeys = distinct(plan.rows, key => `${key.dataset}\0${key.key}`);
  const [sightings, rows] = await Promise.all([
    markKeys.size === 0 ? [] : stores.state.seen([...markKeys.values()]),
    rowKeys.size === 0 ? [] : stores.cache.get([...rowKeys.values()]),
  ]);
  const sightingOf = zip(markKeys, sightings);
  const rowOf = zip(rowKeys, rows);
  return {
    isSeen: (key, item) => isSeenElsewhere(sightingOf.get(`${key.space}\0${key.key}`), item),
    row: key => rowOf.get(`${key.dataset}\0${key.key}`),
  };
}

/**
 * Whether a mark speaks of another event. Where the store keeps positions, an event that meets its own mark,
 * or one that its partition set later, is a replay and passes.
 */
function isSeenElsewhere(sighting: Sighting | undefined, item: Item): boolean {
  if (sighting === undefined || item.nowMs >= sighting.expiresAtMs) return false;
  const { source } = sighting;
  if (source === null || source.topic !== item.source.topic || source.partition !== item.source.partition)
    return true;
  return (
    source.offset < item.source.offset ||
    (source.offset === item.source.offset && source.index < item.source.index)
  );
}

function distinct<T>(keys: readonly T[], idOf: (key: T) => string): Map<string, T> {
  const byId = new Map<string, T>();
  for (const key of keys) byId.set(idOf(key), key);
  return byId;
}

/** The ids with their answers; the answers come in the order of the ids. */
function zip<T>(ids: ReadonlyMap<string, unknown>, answers: readonly T[]): Map<string, T> {
  const answerOf = new Map<string, T>();
  let i = 0;
  for (const id of ids.keys()) answerOf.set(id, answers[i++]!);
  return answerOf;
}
