import { headersOf } from '../core/headers.ts';
import { partitionOf } from '../core/partition.ts';
import type {
  Cache,
  Commit,
  CommitDraft,
  CommitResult,
  Consumer,
  GroupOffset,
  Log,
  RecordWriter,
  StateStore,
} from '../core/ports.ts';
import type { LogRecord } from '../core/record.ts';
import { fullTopic } from '../core/topics.ts';
import type { Logger } from '../observability/logger.ts';
import { type Pause, retryUnavailable } from './back-off.ts';
import { readPlanned, runRecords } from './batch.ts';
import type { ChainOutput, ChainResult } from './chain.ts';
import { ChunkLane, DecidedMarks } from './chunk-lane.ts';
import { addCounters } from './counters.ts';
import { encodeEvent } from './encode.ts';
import { draftOn } from './list-draft.ts';
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
  /** How long a mark lives in the state store. */
  readonly ttlMs: number;
  readonly limits: { readonly recordsMax: number; readonly bytesMax: number };
  /** Bytes of records processed at once; 256 KiB where absent. */
  readonly chunkBytes?: number;
  /**
   * How many chunks of a batch may be on their way through the jobs at once, for stores that answer after a while;
   * one where absent.
   */
  readonly chunksMax?: number;
  readonly logger: Logger;
  /** How it waits for a store; by the machine's clock where absent. */
  readonly pause?: Pause;
  /** Called before each batch is processed: what the jobs go by may change there, and only there. */
  onBatch?(): void;
  /** Ends by itself at the end of its topics, for working off what nobody adds to; else it runs until stopped. */
  readonly endsCaughtUp?: boolean;
  /** Gives the start up: see {@link startRunner}. */
  readonly signal?: AbortSignal;
}

/** A running segment. */
export interface Runner {
  /** Resolves when it has ended; rejects when it cannot go on. */
  readonly done: Promise<void>;
  /** Ends it after the batch in hand is committed. */
  stop(): Promise<void>;
}

const POLL_WAIT_MS = 500;
/** About 340 events: fewer share what a chunk costs, more live long enough to be promoted to the old generation. */
const CHUNK_BYTES = 256 * 1024;
/** A batch is what is processed in so long: a partition that is to go elsewhere waits for the one in hand. */
const BATCH_MS_MAX = 1_000;
/** However slow the machine. */
const BATCH_BYTES_MIN = 1024 * 1024;

/**
 * Runs a segment; resolves when it reads: poll, read, process, commit; outputs, input offsets, marks and counters
 * become durable together. While a batch is being committed the next one is processed, and committed after it.
 * Rejects with the reason of the signal where it is aborted before that.
 */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const { segment, environment, log } = options;
  const topics = segment.inputs.map(topic => fullTopic(environment, topic));
  // Known to the log from here on: what comes in now keeps the pipeline from being idle.
  const consumer = await log.consume(segment.group, topics, options.signal);
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

/**
 * Ends when stopped, or at the end of the topics where it was told so. What was polled and not committed by then
 * is processed by the next run.
 */
async function run(options: RunnerOptions, consumer: Consumer, signal: AbortSignal): Promise<void> {
  const { limits } = options;
  const waitMsMax = options.endsCaughtUp === true ? 0 : POLL_WAIT_MS;
  let bytesMax = Math.min(BATCH_BYTES_MIN, limits.bytesMax);
  let committing = Promise.resolve(true);
  try {
    while (!signal.aborted) {
      // Coming back for more says that all that came before is dealt with: at the end of the log it must be.
      if (consumer.isCaughtUp() && !(await committing)) return;
      const records = await consumer.poll({ ...limits, bytesMax, waitMsMax, isLent: true });
      if (records.length === 0 && options.endsCaughtUp === true && consumer.isCaughtUp()) return;
      if (records.length === 0) continue;
      options.onBatch?.();
      const startedMs = performance.now();
      const batch = await processBatch(options, { records, signal, committing });
      if (batch === undefined) return;
      const bytes = records.reduce((sum, { value }) => sum + value.length, 0);
      bytesMax = nextBatchBytes(limits.bytesMax, bytes, performance.now() - startedMs);
      committing = commitBatch(options, batch, signal);
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

/** Bytes of the next batch, so that it takes no longer than a batch may, where these bytes took so many ms. */
export function nextBatchBytes(bytesMax: number, bytes: number, tookMs: number): number {
  const bytesInTime = (bytes / Math.max(tookMs, 1)) * BATCH_MS_MAX;
  return Math.min(Math.max(bytesInTime, BATCH_BYTES_MIN), bytesMax);
}

/** What a poll became, ready to be made durable. */
interface Batch {
  readonly appends: Appends;
  readonly offsets: readonly GroupOffset[];
  readonly marks: Uint8Array[];
  readonly counters: Record<string, number>;
  /** Whether the state store knows of it, and so must hear of its commit. */
  isMarked: boolean;
}

/** A poll on its way to a batch. */
interface Polled {
  readonly records: readonly LogRecord[];
  readonly signal: AbortSignal;
  /** The commit of the batch before. */
  readonly committing: Promise<boolean>;
}

/**
 * Processes the records of a poll chunk by chunk, and turns each chunk's outputs into bytes at once: a chunk's
 * objects die young, and the polled records' memory is done with. Undefined where it was stopped first.
 */
async function processBatch(options: RunnerOptions, polled: Polled): Promise<Batch | undefined> {
  const offsets = offsetsAfter(options.segment.group, polled.records);
  const batch: Batch = { appends: new Appends(options), offsets, marks: [], counters: {}, isMarked: false };
  const chunks = [...chunksOf(polled.records, options.chunkBytes ?? CHUNK_BYTES)];
  // Ends: each turn ends with all chunks, or meets at least one key that another process marked since the turn before.
  while (chunks.length > 0) {
    const isAlive = await retryUnavailable(options, polled.signal, () =>
      processChunks(options, { polled, batch, chunks }),
    );
    if (isAlive !== true) return undefined;
  }
  return batch;
}

/**
 * Takes chunks away from the front as their marks are set, while those behind are on their way through the jobs.
 * Marks are handed over only when the batch before is durable, so that the state store never holds more than one
 * batch that could still be lost. A conflict ends it early: what was behind has counted on the marks that it met.
 * False where it was stopped.
 */
async function processChunks(
  options: RunnerOptions,
  { polled, batch, chunks }: { polled: Polled; batch: Batch; chunks: (readonly LogRecord[])[] },
): Promise<boolean> {
  const start = chunkStarter(options);
  const chunksMax = options.chunksMax ?? 1;
  const running: Promise<ChainResult>[] = [];
  try {
    while (chunks.length > 0) {
      while (running.length < Math.min(chunksMax, chunks.length))
        running.push(start(chunks[running.length]!));
      const result = await running[0]!;
      if (!(await polled.committing)) return false;
      const marks = await options.state.mark(result.marks, batch.isMarked);
      if (marks === 'conflict') return true;
      batch.isMarked = true;
      if (marks !== null) batch.marks.push(marks);
      for (const output of result.outputs) batch.appends.add(output);
      addCounters(batch.counters, result.counters);
      running.shift();
      chunks.shift();
    }
    return true;
  } finally {
    await Promise.allSettled(running);
  }
}

/** Starts chunk after chunk on its way through the jobs; each knows the marks of those before. */
function chunkStarter({ segment, environment, state, cache, isStored, ttlMs, chunksMax }: RunnerOptions) {
  const { jobs, inputs } = segment;
  const chain = { jobs, inputs, isStored, ttlMs };
  if (chunksMax === undefined) {
    const read = readPlanned.bind(null, { state, cache });
    return (chunk: readonly LogRecord[]) => runRecords({ ...chain, read }, environment, chunk);
  }
  const decided = new DecidedMarks(ttlMs);
  const read = readPlanned.bind(null, { state: { seen: keys => decided.seen(state, keys) }, cache });
  let last: ChunkLane | undefined;
  return (chunk: readonly LogRecord[]) => {
    const lane = new ChunkLane(jobs.length, decided, last);
    last = lane;
    const running = runRecords({ ...chain, read, lane }, environment, chunk);
    // Those behind wait for it; who started it hears of a failure when it comes to it.
    running.catch(error => lane.fail(error));
    return running;
  };
}

/** Consecutive records of at most so many bytes, or one that is larger. */
function* chunksOf(records: readonly LogRecord[], bytesMax: number): Generator<readonly LogRecord[]> {
  let from = 0;
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    if (index > from && bytes + record.value.length > bytesMax) {
      yield records.slice(from, index);
      [from, bytes] = [index, 0];
    }
    bytes += record.value.length;
  }
  yield records.slice(from);
}

/** Makes a batch durable; false where it was stopped while the log refused it. */
async function commitBatch(options: RunnerOptions, batch: Batch, signal: AbortSignal): Promise<boolean> {
  const { state } = options;
  const rest = {
    offsets: batch.offsets,
    marks: batch.marks.length === 0 ? null : Buffer.concat(batch.marks),
    counters: batch.counters,
  };
  // The same commit again until it holds: another one would have to be computed from other marks.
  const committed = await retryUnavailable(options, signal, () => batch.appends.commit(rest));
  if (committed === undefined) return false;
  if (batch.isMarked) await state.committed(committed.position);
  return true;
}

/** The records of a commit, by topic and partition. */
class Appends {
  readonly #options: Pick<RunnerOptions, 'environment' | 'log'>;
  readonly #draft: CommitDraft;
  /** Topic → writer of each partition. */
  readonly #topics = new Map<string, readonly RecordWriter[]>();

  constructor(options: Pick<RunnerOptions, 'environment' | 'log'>) {
    this.#options = options;
    this.#draft = draftOn(options.log);
  }

  add(output: ChainOutput): void {
    const name = output.topic ?? (isUntraced(output) ? null : 'telemetry.dropped');
    if (name === null) return;
    const partitions = this.#topics.get(name) ?? this.#open(name);
    addOutput(partitions[choosePartition(output, partitions.length)]!, output);
  }

  commit(rest: Omit<Commit, 'appends'>): Promise<CommitResult> {
    return this.#draft.commit(rest);
  }

  #open(name: string): readonly RecordWriter[] {
    const topic = fullTopic(this.#options.environment, name);
    const count = this.#options.log.partitionCount(topic);
    const writers = Array.from({ length: count }, (_, partition) => this.#draft.writer(topic, partition));
    this.#topics.set(name, writers);
    return writers;
  }
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

function addOutput(writer: RecordWriter, output: ChainOutput): void {
  const value =
    output.topic === null ? encodeEvent(traceOf(output)) : encodeEvent(output.event, output.origin);
  const { syncts } = output.event;
  const timeMs = typeof syncts === 'number' && Number.isFinite(syncts) ? syncts : output.nowMs;
  writer.add({ key: output.key, timeMs, headers: headersOf(output, output) }, value);
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
