import { assert, assertNever } from '../core/errors.ts';
import type { JsonObject } from '../core/event.ts';
import type {
  Emission,
  Item,
  Job,
  JobName,
  JobResult,
  Mark,
  Outcome,
  ReadPlan,
  Reads,
  Verdict,
} from '../core/job.ts';
import type { Source } from '../core/record.ts';

/** What left the chain, or passed a topic inside it that is stored. */
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
}

/** An event between two jobs. */
interface Standing extends Item {
  readonly isDerived: boolean;
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
  /** Whether a topic between two of the jobs is stored all the same. */
  isStored(topic: string): boolean;
  /** Fetches everything a plan names, in one round trip. */
  read(plan: ReadPlan, batch: readonly Item[]): Promise<Reads>;
}

/**
 * Runs a batch through fused jobs in memory: each job takes the events that stand on its input topics and
 * replaces them, in place, by what it emits, so the order of the inputs is kept throughout.
 *
 * Asserts the conservation law on every job and batch: received = emitted + rejected + dropped.
 */
export async function runChain(options: ChainOptions, inputs: readonly Item[]): Promise<ChainResult> {
  const pass = new Pass(options);
  let standing: readonly Standing[] = inputs.map(item => ({ ...item, isDerived: false }));
  for (const [index, job] of options.jobs.entries()) {
    const batch = standing.filter(item => job.inputs.includes(item.topic));
    if (batch.length === 0) continue;
    const reads = await options.read(job.plan(batch), batch);
    const result = processOrBisect(job, batch, reads);
    standing = pass.replace(standing, { job, batch, result, later: options.jobs.slice(index + 1) });
  }
  assert(standing.length === 0, 'every event of a chain ends in a topic or a drop');
  return pass.result();
}

/** What one job made of its part of the standing events. */
interface Step {
  readonly job: Job;
  readonly batch: readonly Standing[];
  readonly result: JobResult;
  readonly later: readonly Job[];
}

/** Collects what a batch leaves behind on its way through the jobs. */
class Pass {
  readonly #options: ChainOptions;
  readonly #outputs: ChainOutput[] = [];
  readonly #marks: Mark[] = [];
  readonly #counters: Record<string, number> = {};

  constructor(options: ChainOptions) {
    this.#options = options;
  }

  result(): ChainResult {
    return { outputs: this.#outputs, marks: this.#marks, counters: this.#counters };
  }

  /** The standing events after a job: those it did not take as they were, the others replaced. */
  replace(standing: readonly Standing[], step: Step): readonly Standing[] {
    const { job, batch, result } = step;
    assert(result.verdicts.length === batch.length, `${job.name} answers each input once`);
    for (const mark of result.marks) this.#marks.push(mark);
    for (const [name, delta] of Object.entries(result.counters)) this.#count(`${job.name}.${name}`, delta);
    const next: Standing[] = [];
    let taken = 0;
    for (const item of standing) {
      if (batch[taken] !== item) {
        next.push(item);
        continue;
      }
      this.#count(`edge.${job.name}.${item.topic}`, 1);
      this.#settle(item, result.verdicts[taken++]!, step, next);
    }
    assert(taken === batch.length, `${job.name} took events in order`);
    return next;
  }

  #settle(item: Standing, verdict: Verdict, step: Step, next: Standing[]): void {
    const { name } = step.job;
    this.#count(`${name}.received`, verdict.outcomes.length);
    for (const [index, outcome] of verdict.outcomes.entries()) {
      // Only a batch opens into several events; elsewhere the event keeps the index it was given there.
      const source = name === 'extract' ? { ...item.source, index } : item.source;
      const from = { ...item, source };
      this.#count(`${name}.${COUNTED_AS[outcome.kind]}`, 1);
      switch (outcome.kind) {
        case 'emit':
          assert(outcome.emissions.length > 0, `${name} emits to at least one topic`);
          for (const emission of outcome.emissions) this.#place(from, emission, step, next);
          break;
        case 'reject':
          this.#leave(from, outcome.emission, { job: step.job, outcome });
          break;
        case 'drop':
          this.#leave(from, outcome.emission, { job: step.job, outcome });
          break;
        default:
          assertNever(outcome);
      }
    }
    const index = name === 'extract' ? verdict.outcomes.length : item.source.index;
    const derivedFrom = { ...item, source: { ...item.source, index }, isDerived: true };
    this.#count(`${name}.derived`, verdict.derived.length);
    for (const emission of verdict.derived) this.#place(derivedFrom, emission, step, next);
  }

  /** Puts an emitted event on its topic: before the later job that reads it, and out where it is stored. */
  #place(item: Standing, emission: Emission, step: Step, next: Standing[]): void {
    const { topic, key, event } = emission;
    assert(step.job.outputs.includes(topic), `${step.job.name} declares its output ${topic}`);
    this.#count(`topic.${topic}`, 1);
    const isFused =
      !this.#options.inputs.includes(topic) && step.later.some(job => job.inputs.includes(topic));
    if (isFused)
      next.push({ topic, event, source: item.source, nowMs: item.nowMs, isDerived: item.isDerived });
    if (isFused && !this.#options.isStored(topic)) return;
    this.#outputs.push({
      outcome: 'emit',
      topic,
      key,
      event,
      source: item.source,
      nowMs: item.nowMs,
      job: step.job.name,
      code: null,
      reason: null,
      pointer: null,
      isLeaving: !isFused,
      isDerived: item.isDerived,
    });
  }

  #leave(
    item: Standing,
    emission: Emission | null,
    by: { job: Job; outcome: Exclude<Outcome, { kind: 'emit' }> },
  ): void {
    const { job, outcome } = by;
    if (emission !== null) {
      const isDeclared = emission.topic === job.unreadableTopic || job.outputs.includes(emission.topic);
      assert(isDeclared, `${job.name} declares its output ${emission.topic}`);
      this.#count(`topic.${emission.topic}`, 1);
    }
    this.#outputs.push({
      outcome: outcome.kind,
      topic: emission?.topic ?? null,
      key: emission?.key ?? null,
      event: emission?.event ?? item.event,
      source: item.source,
      nowMs: item.nowMs,
      job: job.name,
      code: outcome.code,
      reason: outcome.reason,
      pointer: outcome.kind === 'reject' ? outcome.pointer : null,
      isLeaving: true,
      isDerived: item.isDerived,
    });
  }

  #count(name: string, delta: number): void {
    if (delta !== 0) this.#counters[name] = (this.#counters[name] ?? 0) + delta;
  }
}

const COUNTED_AS = { emit: 'emitted', reject: 'rejected', drop: 'dropped' } as const;

/**
 * A job never throws on data; where one does all the same, the batch is halved until the one event is found,
 * which is rejected as our bug while its neighbours go on. Ends: each half is smaller.
 */
function processOrBisect(job: Job, batch: readonly Item[], reads: Reads): JobResult {
  try {
    return job.process(batch, reads);
  } catch (error) {
    if (batch.length === 1) return rejectAsBug(job, batch[0]!, error);
    const middle = batch.length >> 1;
    const first = processOrBisect(job, batch.slice(0, middle), reads);
    const second = processOrBisect(job, batch.slice(middle), withMarks(reads, first.marks));
    return {
      verdicts: [...first.verdicts, ...second.verdicts],
      marks: [...first.marks, ...second.marks],
      counters: addCounters(first.counters, second.counters),
    };
  }
}

/** The reads as the second half of a cut batch must see them: the first half's marks included. */
function withMarks(reads: Reads, marks: readonly Mark[]): Reads {
  const added = new Set(marks.map(mark => `${mark.space}\0${mark.key}`));
  return {
    isSeen: (key, item) => added.has(`${key.space}\0${key.key}`) || reads.isSeen(key, item),
    row: key => reads.row(key),
  };
}

function rejectAsBug(job: Job, item: Item, error: unknown): JobResult {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const emission = { topic: job.unreadableTopic, key: null, event: item.event };
  const outcome = { kind: 'reject', code: 'ERR_JOB_BUG', reason, pointer: null, emission } as const;
  return { verdicts: [{ outcomes: [outcome], derived: [] }], marks: [], counters: {} };
}

function addCounters(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sum: Record<string, number> = { ...a };
  for (const [name, delta] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + delta;
  return sum;
}
