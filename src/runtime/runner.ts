import { MillraceError } from '../core/errors.ts';
import { partitionOf } from '../core/partition.ts';
import type { Append, Cache, Commit, Consumer, GroupOffset, Log, StateStore } from '../core/ports.ts';
import type { LogRecord, NewRecord } from '../core/record.ts';
import { fullTopic } from '../core/topics.ts';
import type { Logger } from '../observability/logger.ts';
import { type Pause, retryUnavailable } from './back-off.ts';
import { readPlanned, runRecords } from './batch.ts';
import type { ChainOutput, ChainResult } from './chain.ts';
import { headersOf } from './decode.ts';
import { encodeEvent } from './encode.ts';
import type { Segment } from './segments.ts';

/** What a segment runs on. */
export interface RunnerOptions {
  readonly segment: Segment;
  /** Whether a topic (without prefix) is stored, or only counted. */
  isStored(topic: string): boolean;
  readonly environment: string;
  readonly log: Log;
  readonly state: StateStore;
  readonly cache: Pick<Cache, 'get'>;
  readonly limits: { readonly recordsMax: number; readonly bytesMax: number };
  readonly logger: Logger;
  /** How it waits for a store; by the machine's clock where absent. */
  readonly pause?: Pause;
  /** Ends by itself at the end of its topics, for working off what nobody adds to; else it runs until stopped. */
  readonly endsCaughtUp?: boolean;
}

/** A running segment. */
export interface Runner {
  /** Resolves when it has ended; rejects when it cannot go on. */
  readonly done: Promise<void>;
  /** Ends it after the batch in hand is committed. */
  stop(): Promise<void>;
}

const POLL_WAIT_MS = 500;

/**
 * Runs a segment; resolves when it reads: poll, read, process, commit; outputs, input offsets, marks and counters become durable
 * together. While a batch is being committed the next one is processed, and committed after it.
 */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const { segment, environment, log } = options;
  const topics = segment.inputs.map(topic => fullTopic(environment, topic));
  // Known to the log from here on: what comes in now keeps the pipeline from being idle.
  const consumer = await log.consume(segment.group, topics);
  const stopping = new AbortController();
  const done = run(options, consumer, stopping.signal);
  return {
    done,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

async function run(options: RunnerOptions, consumer: Consumer, signal: AbortSignal): Promise<void> {
  const { limits } = options;
  const waitMsMax = options.endsCaughtUp === true ? 0 : POLL_WAIT_MS;
  let committing: Promise<void> = Promise.resolve();
  try {
    // Ends when stopped, or at the end of the topics where it was told so.
    while (!signal.aborted) {
      // Coming back for more says that all that came before is dealt with: at the end of the log it must be.
      if (consumer.isCaughtUp()) await committing;
      const records = await consumer.poll({ ...limits, waitMsMax });
      if (records.length === 0 && options.endsCaughtUp === true && consumer.isCaughtUp()) break;
      if (records.length === 0) continue;
      const result = await retryUnavailable(options, signal, () => process(options, records));
      if (result === undefined) break;
      await committing;
      // Before the next batch is looked at: what it repeats of this one must be seen.
      const marks = await persist(options, signal, () => options.state.mark(result.marks));
      committing = commitResult(options, { records, result, marks, signal });
      // A failure is thrown by the next await of it; without this a stop in between would leave it unheard.
      committing.catch(() => {});
    }
  } finally {
    try {
      await committing;
    } finally {
      await consumer.close();
    }
  }
}

function process(options: RunnerOptions, records: readonly LogRecord[]): Promise<ChainResult> {
  const { segment, environment, state, cache } = options;
  const chain = {
    jobs: segment.jobs,
    inputs: segment.inputs,
    isStored: options.isStored,
    read: readPlanned.bind(null, { state, cache }),
  };
  return runRecords(chain, environment, records);
}

/**
 * Makes a batch durable whose marks were handed over after the batch before became durable, so that the state
 * store never holds more than one batch that could still be lost.
 */
async function commitResult(
  options: RunnerOptions,
  batch: {
    readonly records: readonly LogRecord[];
    readonly result: ChainResult;
    readonly marks: Uint8Array | null;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { log, state, segment } = options;
  const commit: Commit = {
    appends: appendsOf(options, batch.result.outputs),
    offsets: offsetsAfter(segment.group, batch.records),
    marks: batch.marks,
    counters: batch.result.counters,
  };
  // The same commit again until it holds: another one would have to be computed from other marks.
  const committed = await persist(options, batch.signal, () => log.commit(commit));
  await state.committed(committed.position);
}

/** Tries until it succeeds; throws ERR_LOG_CLOSED where it is stopped before: the batch is not durable then. */
async function persist<T>(options: RunnerOptions, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  const done = await retryUnavailable(options, signal, async () => ({ result: await call() }));
  if (done === undefined) throw new MillraceError('ERR_LOG_CLOSED', 'stopped while a store refused a batch');
  return done.result;
}

function appendsOf(options: RunnerOptions, outputs: readonly ChainOutput[]): readonly Append[] {
  const { environment, log } = options;
  const byPartition = new Map<string, { topic: string; partition: number; records: NewRecord[] }>();
  for (const output of outputs) {
    const name = output.topic ?? (isUntraced(output) ? null : 'telemetry.dropped');
    if (name === null) continue;
    const topic = fullTopic(environment, name);
    const partition = choosePartition(output, log.partitionCount(topic));
    const id = `${topic}:${partition}`;
    const append = byPartition.get(id) ?? { topic, partition, records: [] };
    append.records.push(recordOf(output));
    byPartition.set(id, append);
  }
  return [...byPartition.values()];
}

/** The events of a duplicate batch stand in the batch's own record; they leave no trace of their own. */
function isUntraced(output: ChainOutput): boolean {
  return output.job === 'extract' && output.code === 'ERR_DUPLICATE';
}

function choosePartition(output: ChainOutput, partitions: number): number {
  if (partitions === 1) return 0;
  if (output.key === null) return output.source.partition % partitions;
  return partitionOf(Buffer.from(output.key, 'utf8'), partitions);
}

function recordOf(output: ChainOutput): NewRecord {
  const value =
    output.topic === null ? encodeEvent(traceOf(output)) : encodeEvent(output.event, output.origin);
  const { syncts } = output.event;
  return {
    key: output.key,
    timeMs: typeof syncts === 'number' && Number.isFinite(syncts) ? syncts : output.nowMs,
    headers: headersOf(output),
    value,
  };
}

/** What is kept of an event that was dropped without a topic of its own: enough to find it and say why. */
function traceOf(output: ChainOutput) {
  const { eid, mid, ets, context } = output.event;
  return { eid, mid, ets, context, syncts: output.event['syncts'] };
}

function offsetsAfter(group: string, records: readonly LogRecord[]): readonly GroupOffset[] {
  const next = new Map<string, GroupOffset>();
  for (const { topic, partition, offset } of records) {
    next.set(`${topic}:${partition}`, { group, topic, partition, offset: offset + 1 });
  }
  return [...next.values()];
}
