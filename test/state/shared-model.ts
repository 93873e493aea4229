import assert from 'node:assert/strict';
import type { Item, Mark, MarkSpace } from '../../src/core/job.ts';
import type { StateStore } from '../../src/core/ports.ts';
import { formatSource } from '../../src/core/record.ts';
import { createSightings } from '../../src/jobs/sightings.ts';
import { readPlanned } from '../../src/runtime/batch.ts';

/** An event. It is looked for by its batch's key, where it has one, and if that passes by its own, as in the chain. */
export interface ModelEvent {
  readonly partition: number;
  readonly batch: string | null;
  readonly key: string;
  readonly timeMs: number;
}

/** What became of an event. */
export type ModelVerdict = 'batch seen' | 'key seen' | 'passed';

/** What happens next: a process works on, dies, or loses a partition to the other one without knowing it. */
export interface Step {
  readonly who: number;
  readonly kind: 'work' | 'crash' | 'hand over';
  /** Partition that is handed over. */
  readonly partition: number;
  /** Records of each partition in a batch that begins now. */
  readonly size: number;
}

interface Batch {
  readonly steps: AsyncGenerator<void, void>;
}

/**
 * Two processes that run the chain's removals of duplicates over partitions they share out, on one store of marks:
 * each call of a store meets the other process's calls where the steps say so. A verdict of a batch whose marks were
 * set must never change, whoever looks at the event again.
 */
export class SharedModel {
  readonly #stores: readonly StateStore[];
  readonly #ttlMs: number;
  readonly #log: ModelEvent[][];
  readonly #owners: number[];
  readonly #committed: number[];
  readonly #batches: (Batch | undefined)[] = [undefined, undefined];
  /** By place. */
  readonly verdicts = new Map<string, ModelVerdict>();
  conflicts = 0;

  constructor(stores: readonly StateStore[], partitions: number, ttlMs: number) {
    this.#stores = stores;
    this.#ttlMs = ttlMs;
    this.#log = Array.from({ length: partitions }, () => []);
    this.#owners = this.#log.map((_, partition) => partition % 2);
    this.#committed = this.#log.map(() => 0);
  }

  /** Adds an event; answers its place. */
  append(event: ModelEvent): string {
    const events = this.#log[event.partition]!;
    events.push(event);
    return formatSource(sourceOf(event.partition, events.length - 1));
  }

  async step({ who, kind, partition, size }: Step): Promise<void> {
    if (kind === 'hand over') this.#owners[partition] = who;
    if (kind === 'crash') this.#batches[who] = undefined;
    if (kind !== 'work') return;
    const batch = this.#batches[who] ?? { steps: this.#run(who, size) };
    const { done } = await batch.steps.next();
    this.#batches[who] = done === true ? undefined : batch;
  }

  /** Steps in their order; where both processes work at once, side by side: then Redis decides who is first. */
  async play(steps: readonly Step[]): Promise<void> {
    for (let i = 0; i < steps.length; i++) {
      const [step, next] = [steps[i]!, steps[i + 1]];
      const isBoth = step.kind === 'work' && next?.kind === 'work' && step.who !== next.who;
      await Promise.all(isBoth ? [this.step(step), this.step(next)] : [this.step(step)]);
      if (isBoth) i += 1;
    }
  }

  /** Works until all is committed. */
  async finish(size: number): Promise<void> {
    const isDone = () => this.#log.every((events, partition) => this.#committed[partition] === events.length);
    let steps = 0;
    while (!isDone()) {
      assert.ok(++steps < 10_000, 'it does not come to an end');
      await this.step({ who: steps % 2, kind: 'work', partition: 0, size });
    }
  }

  async *#run(who: number, size: number): AsyncGenerator<void, void> {
    const store = this.#stores[who]!;
    const from = [...this.#committed];
    const partitions = [...from.keys()].filter(partition => this.#owners[partition] === who);
    const items = partitions.flatMap(partition => this.#items(partition, from[partition]!, size));
    while (true) {
      const batches = items.filter(({ event }) => event['batch'] !== null);
      const first = await this.#look(store, 'batch', batches);
      yield;
      const rest = items.filter(item => item.event['batch'] === null || first.passed.has(item));
      const second = await this.#look(store, 'event', rest);
      yield;
      if ((await store.mark([...first.marks, ...second.marks])) === 'conflict') {
        this.conflicts += 1;
        continue;
      }
      for (const item of items) {
        const isPassed = second.passed.has(item);
        this.#settle(item, isPassed ? 'passed' : rest.includes(item) ? 'key seen' : 'batch seen');
      }
      break;
    }
    yield;
    // All or nothing, as a fenced transaction.
    const isOwner = partitions.every(
      partition => this.#owners[partition] === who && this.#committed[partition] === from[partition],
    );
    if (!isOwner) return;
    for (const { source } of items) this.#committed[source.partition] = source.offset + 1;
  }

  #items(partition: number, from: number, size: number): readonly Item[] {
    return this.#log[partition]!.slice(from, from + size).map((event, index) => ({
      topic: 'telemetry.ingest',
      event: { event: event.key, batch: event.batch },
      source: sourceOf(partition, from + index),
      nowMs: event.timeMs,
    }));
  }

  async #look(store: StateStore, space: MarkSpace, items: readonly Item[]) {
    const keyOf = (item: Item) => String(item.event[space]);
    const plan = { marks: items.map(item => ({ space, key: keyOf(item) })), rows: [] };
    const reads = await readPlanned({ state: store, cache: { get: async () => [] } }, plan);
    const sightings = createSightings(space, this.#ttlMs, reads);
    const passed = new Set<Item>();
    for (const item of items) {
      if (sightings.isSeen(keyOf(item), item)) continue;
      sightings.add(keyOf(item), item);
      passed.add(item);
    }
    const marks: readonly Mark[] = sightings.marks;
    return { passed, marks };
  }

  #settle({ source }: Item, verdict: ModelVerdict): void {
    const place = formatSource(source);
    const before = this.verdicts.get(place) ?? verdict;
    assert.equal(verdict, before, `${place} had another verdict`);
    this.verdicts.set(place, verdict);
  }
}

function sourceOf(partition: number, offset: number) {
  return { topic: 'local.telemetry.ingest', partition, offset, index: 0 };
}
