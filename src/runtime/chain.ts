import { assert } from '../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../core/event.ts';
import type {
  Dropped,
  Emission,
  Item,
  Job,
  JobName,
  JobResult,
  Mark,
  MarkKey,
  Outcome,
  ReadPlan,
  Reads,
  Rejected,
  Verdict,
} from '../core/job.ts';
import type { Source } from '../core/record.ts';
import type { ChunkLane } from './chunk-lane.ts';
import { addCounters } from './counters.ts';
import type { Origin } from './encode.ts';

/** What goes to a stored topic, or was dropped. */
export interface ChainOutput {
  readonly outcome: Outcome['kind'];
  /** Null for a drop that reaches no topic. */
  readonly topic: string | null;
  readonly key: string | null;
  readonly event: JsonObject;
  readonly source: Source;
  /** Time of the input record, epoch ms. */
  readonly nowMs: number;
  readonly job: JobName;
  readonly code: string | null;
  readonly reason: string | null;
  readonly pointer: string | null;
  /** False where a later job of this chain takes the event on. */
  readonly isLeaving: boolean;
  /** True where a job of this chain made the event (a share item, a copy), false for one that came in. */
  readonly isDerived: boolean;
  /** The text that the event was read from; for the encoder. */
  readonly origin: Origin | undefined;
}

/** What enters a chain: an event or batch, with the text it was read from where that can be used again. */
export interface ChainInput extends Item {
  readonly origin?: Origin;
  /** A batch's events in its text; absent where they do not all stand there one by one. */
  readonly pieces?: Pieces | undefined;
}

/** Where the events of a batch lie in its text, see `scanJson`. */
export interface Pieces {
  readonly bytes: Uint8Array;
  readonly elements: readonly number[];
}

/** An event between two jobs. Where it goes on as one event it is moved: an object for each job costs as much. */
interface Standing extends Item {
  topic: string;
  event: JsonObject;
  readonly isDerived: boolean;
  readonly origin: Origin | undefined;
  readonly pieces: Pieces | undefined;
}

/** The answer of a chain to a batch. */
export interface ChainResult {
  /** By job; those of one job in the order of its inputs, so each topic keeps their order. */
  readonly outputs: readonly ChainOutput[];
  readonly marks: readonly Mark[];
  /** Deltas: `<job>.<received|emitted|rejected|dropped|derived|…>`, `topic.<name>`, `edge.<job>.<topic>`. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Which jobs run as one pass, and how they read. A segment of the layout is one such pass. */
export interface ChainOptions {
  readonly jobs: readonly Job[];
  /** Topics that these jobs take from the log: what is emitted to one goes there, even by one of the jobs. */
  readonly inputs: readonly string[];
  /** Whether what is emitted to a topic is wanted as an output; it is counted either way. */
  isStored(topic: string): boolean;
  /** Fetches everything a plan names, in one round trip. */
  read(plan: ReadPlan, batch: readonly Item[]): Promise<Reads>;
  /** How long a mark lives, as the jobs and the state store have it. */
  readonly ttlMs: number;
  /** The way of this batch among others that are in the chain at once; absent where it is alone. */
  readonly lane?: Pick<ChunkLane, 'enter' | 'leave'>;
}

/**
 * Runs a batch through fused jobs in memory: each job takes the events that stand on its input topics and
 * replaces them, in place, by what it emits, so the order of the inputs is kept throughout.
 *
 * Asserts the conservation law on every job and batch: received = emitted + rejected + dropped.
 */
export async function runChain(options: ChainOptions, inputs: readonly ChainInput[]): Promise<ChainResult> {
  const outputs: ChainOutput[] = [];
  const marks: Mark[] = [];
  const counters: Record<string, number> = {};
  let standing: readonly Standing[] = inputs.map(standingOf);
  const { lane } = options;
  for (const [index, job] of options.jobs.entries()) {
    if (lane !== undefined) await lane.enter(index);
    const batch = standing.filter(item => job.inputs.includes(item.topic));
    if (batch.length === 0) {
      lane?.leave(index, []);
      continue;
    }
    const reads = await options.read(job.plan(batch), batch);
    const result = processOrBisect(job, batch, { reads, ttlMs: options.ttlMs });
    assert(result.verdicts.length === batch.length, `${job.name} answers each input once`);
    const step = new Step(job, ways(options, index), outputs);
    standing = step.replace(standing, batch, result.verdicts);
    step.count(counters, result.counters);
    for (const mark of result.marks) marks.push(mark);
    lane?.leave(index, result.marks);
  }
  assert(standing.length === 0, 'every event of a chain ends in a topic or a drop');
  return { outputs, marks, counters };
}

function standingOf({ topic, event, source, nowMs, text, origin, pieces }: ChainInput): Standing {
  const item = { topic, event, source, nowMs, isDerived: false, origin, pieces };
  return text === undefined ? item : { ...item, text };
}

/** Where a topic leads from a job: to a later job of the chain, out of it, or both. */
interface Way {
  readonly topic: string;
  readonly isFused: boolean;
  readonly isStored: boolean;
  count: number;
}

/** How many events a job took from a topic. */
interface Edge {
  readonly topic: string;
  count: number;
}

/** The ways from a job, by the topics that it declares. */
function ways({ jobs, inputs, isStored }: ChainOptions, index: number): ReadonlyMap<string, Way> {
  const job = jobs[index]!;
  const later = jobs.slice(index + 1);
  const declared = new Set([...job.outputs, job.unreadableTopic]);
  return new Map(
    [...declared].map(topic => {
      const isFused = !inputs.includes(topic) && later.some(reader => reader.inputs.includes(topic));
      return [topic, { topic, isFused, isStored: isStored(topic), count: 0 }];
    }),
  );
}

/** What one job makes of a batch. Counts in numbers of its own: names are put together once, not per event. */
class Step {
  readonly #job: Job;
  readonly #ways: ReadonlyMap<string, Way>;
  readonly #outputs: ChainOutput[];
  readonly #edges: Edge[] = [];
  // Neighbouring events mostly come from one topic and go to one.
  #edge: Edge | undefined;
  #way: Way | undefined;
  readonly #tally = { received: 0, emitted: 0, rejected: 0, dropped: 0, derived: 0 };

  constructor(job: Job, routes: ReadonlyMap<string, Way>, outputs: ChainOutput[]) {
    this.#job = job;
    this.#ways = routes;
    this.#outputs = outputs;
  }

  /** The standing events after the job: those it did not take as they were, the others replaced. */
  replace(
    standing: readonly Standing[],
    batch: readonly Standing[],
    verdicts: readonly Verdict[],
  ): readonly Standing[] {
    const next: Standing[] = [];
    let taken = 0;
    for (const item of standing) {
      if (batch[taken] !== item) {
        next.push(item);
        continue;
      }
      this.#edgeFrom(item.topic).count += 1;
      this.#settle(item, verdicts[taken++]!, next);
    }
    assert(taken === batch.length, `${this.#job.name} took events in order`);
    return next;
  }

  /** Adds what was counted, under its full names. */
  count(counters: Record<string, number>, own: Readonly<Record<string, number>>): void {
    const { name } = this.#job;
    const { received, emitted, rejected, dropped } = this.#tally;
    assert(received === emitted + rejected + dropped, `${name} conserves events`);
    const add = (counter: string, delta: number) => {
      if (delta !== 0) counters[counter] = (counters[counter] ?? 0) + delta;
    };
    for (const [what, delta] of Object.entries({ ...this.#tally, ...own })) add(`${name}.${what}`, delta);
    for (const { topic, count } of this.#edges) add(`edge.${name}.${topic}`, count);
    for (const [topic, way] of this.#ways) add(`topic.${topic}`, way.count);
  }

  #settle(item: Standing, { outcomes, derived }: Verdict, next: Standing[]): void {
    const isBatch = this.#job.name === 'extract';
    // The item stands elsewhere once an outcome has moved it.
    const taken = item.event;
    this.#tally.received += outcomes.length;
    for (let index = 0; index < outcomes.length; index++) {
      const outcome = outcomes[index]!;
      // Only a batch opens into several events; elsewhere the event keeps the place it was given there.
      const from = isBatch ? eventOf(item, index, outcome.kind === 'drop') : index === 0 ? item : { ...item };
      if (outcome.kind === 'emit') {
        this.#tally.emitted += 1;
        assert(outcome.emissions.length > 0, 'a job emits to at least one topic');
        this.#move(from, outcome.emissions, next);
      } else {
        this.#tally[outcome.kind === 'reject' ? 'rejected' : 'dropped'] += 1;
        this.#leave(from, outcome);
      }
    }
    if (derived.length === 0) return;
    this.#tally.derived += derived.length;
    const parent = isBatch ? eventOf(item, outcomes.length, false) : item;
    for (const emission of derived) {
      // A copy has the text of the event; what a job makes has one of its own.
      const origin = emission.event === taken ? item.origin : undefined;
      this.#move({ ...parent, isDerived: true, origin }, [emission], next);
    }
  }

  /**
   * Puts the emissions of an event on their topics: before the later jobs that read them, and out where they are
   * stored. The item is the first one that goes on from then on.
   */
  #move(item: Standing, emissions: readonly Emission[], next: Standing[]): void {
    let isFree = true;
    for (const emission of emissions) {
      const way = this.#wayTo(emission.topic);
      if (way.isStored) this.#outputs.push(this.#outputOf(item, emission, !way.isFused));
      if (!way.isFused) continue;
      const moved = isFree ? item : { ...item };
      isFree = false;
      moved.topic = emission.topic;
      moved.event = emission.event;
      next.push(moved);
    }
  }

  #outputOf(item: Standing, { topic, key, event }: Emission, isLeaving: boolean): ChainOutput {
    const { source, nowMs, isDerived, origin } = item;
    return {
      outcome: 'emit',
      topic,
      key,
      event,
      source,
      nowMs,
      job: this.#job.name,
      code: null,
      reason: null,
      pointer: null,
      isLeaving,
      isDerived,
      origin,
    };
  }

  #leave({ event, source, nowMs, isDerived, origin }: Standing, outcome: Rejected | Dropped): void {
    const { emission } = outcome;
    if (emission !== null) this.#wayTo(emission.topic);
    this.#outputs.push({
      outcome: outcome.kind,
      topic: emission?.topic ?? null,
      key: emission?.key ?? null,
      event: emission?.event ?? event,
      source,
      nowMs,
      job: this.#job.name,
      code: outcome.code,
      reason: outcome.reason,
      pointer: outcome.kind === 'reject' ? outcome.pointer : null,
      isLeaving: true,
      isDerived,
      origin,
    });
  }

  /** The way to a topic, one event more on it. */
  #wayTo(topic: string): Way {
    const way = this.#way?.topic === topic ? this.#way : this.#ways.get(topic);
    // The text only where it is needed: this is asked for every event of every job.
    if (way === undefined)
      throw new Error(`assertion failed: ${this.#job.name} declares its output ${topic}`);
    way.count += 1;
    this.#way = way;
    return way;
  }

  #edgeFrom(topic: string): Edge {
    let edge = this.#edge?.topic === topic ? this.#edge : this.#edges.find(known => known.topic === topic);
    if (edge === undefined) {
      edge = { topic, count: 0 };
      this.#edges.push(edge);
    }
    this.#edge = edge;
    return edge;
  }
}

/**
 * An event of an opened batch: its place, and its own piece of the text where the pieces are those of the events. A
 * batch that is dropped is kept whole.
 */
function eventOf(item: Standing, index: number, isWhole: boolean): Standing {
  const { topic, partition, offset } = item.source;
  const source = { topic, partition, offset, index };
  if (isWhole) return { ...item, source };
  // Written out: copying an item with all its members cost as much as a job.
  const { event: batch, nowMs, isDerived, pieces } = item;
  const place = { topic: item.topic, event: batch, source, nowMs, isDerived, pieces: undefined };
  const event = pieces === undefined ? undefined : (batch['events'] as readonly Json[])[index];
  if (pieces === undefined || !isObject(event)) return { ...place, origin: undefined };
  const { bytes, elements } = pieces;
  const at = 3 * index;
  const origin = { event, bytes, from: elements[at]!, to: elements[at + 1]!, memberCount: elements[at + 2]! };
  return { ...place, origin };
}

/** The answers to a plan, and how long a mark among them lives. */
interface Known {
  readonly reads: Reads;
  readonly ttlMs: number;
}

/**
 * A job never throws on data; where one does all the same, the batch is halved until the one event is found,
 * which is rejected as our bug while its neighbours go on. Ends: each half is smaller.
 */
function processOrBisect(job: Job, batch: readonly Item[], known: Known): JobResult {
  try {
    return job.process(batch, known.reads);
  } catch (error) {
    if (batch.length === 1) return rejectAsBug(job, batch[0]!, error);
    const middle = batch.length >> 1;
    const first = processOrBisect(job, batch.slice(0, middle), known);
    const second = processOrBisect(job, batch.slice(middle), withMarks(known, first.marks));
    return {
      verdicts: [...first.verdicts, ...second.verdicts],
      marks: [...first.marks, ...second.marks],
      counters: addCounters({ ...first.counters }, second.counters),
    };
  }
}

/** What the second half of a cut batch must know: the marks of the first, for as long as marks live. */
function withMarks({ reads, ttlMs }: Known, marks: readonly Mark[]): Known {
  // Of a key that was marked again once its mark had run out, the last one.
  const markedMs = new Map(marks.map(mark => [nameOf(mark), mark.timeMs]));
  return {
    ttlMs,
    reads: {
      isSeen(key, item) {
        const timeMs = markedMs.get(nameOf(key));
        return (timeMs !== undefined && item.nowMs - timeMs < ttlMs) || reads.isSeen(key, item);
      },
      row: key => reads.row(key),
    },
  };
}

function nameOf({ space, key }: MarkKey): string {
  return `${space}\0${key}`;
}

function rejectAsBug(job: Job, item: Item, error: unknown): JobResult {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const emission = { topic: job.unreadableTopic, key: null, event: item.event };
  const outcome = { kind: 'reject', code: 'ERR_JOB_BUG', reason, pointer: null, emission } as const;
  return { verdicts: [{ outcomes: [outcome], derived: [] }], marks: [], counters: {} };
}
