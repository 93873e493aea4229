import type { JsonObject } from '../core/event.ts';
import type { CacheKey, MarkKey, ReadPlan, Reads } from '../core/job.ts';
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
  stores: { readonly state: StateStore; readonly cache: Pick<Cache, 'get'> },
  plan: ReadPlan,
): Promise<Reads> {
  const marks = new KeyTable<MarkKey, Sighting>(plan.marks, key => key.space);
  const rows = new KeyTable<CacheKey, JsonObject>(plan.rows, key => key.dataset);
  const [sightings, found] = await Promise.all([
    marks.keys.length === 0 ? [] : stores.state.seen(marks.keys),
    rows.keys.length === 0 ? [] : stores.cache.get(rows.keys),
  ]);
  marks.answer(sightings);
  rows.answer(found);
  return {
    isSeen: (key, item) => isSeenElsewhere(marks.find(key), item.source, item.nowMs),
    row: key => rows.find(key),
  };
}

/** The distinct keys of a plan with their answers, by space (or dataset) and key; no joined text is made of them. */
class KeyTable<K extends { readonly key: string }, A> {
  readonly keys: K[] = [];
  readonly #areaOf: (key: K) => string;
  /** Area → key → index in `keys`. */
  readonly #areas = new Map<string, Map<string, number>>();
  #answers: readonly (A | undefined)[] = [];

  constructor(keys: readonly K[], areaOf: (key: K) => string) {
    this.#areaOf = areaOf;
    for (const key of keys) {
      const area = areaOf(key);
      let indexes = this.#areas.get(area);
      if (indexes === undefined) {
        indexes = new Map();
        this.#areas.set(area, indexes);
      }
      if (indexes.has(key.key)) continue;
      indexes.set(key.key, this.keys.length);
      this.keys.push(key);
    }
  }

  /** Takes the answers, in the order of `keys`. */
  answer(answers: readonly (A | undefined)[]): void {
    this.#answers = answers;
  }

  find(key: K): A | undefined {
    const index = this.#areas.get(this.#areaOf(key))?.get(key.key);
    return index === undefined ? undefined : this.#answers[index];
  }
}
