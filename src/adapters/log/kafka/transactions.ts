import { ERRORS, MillraceError } from '../../../core/errors.ts';
import type { Append, Commit, GroupOffset } from '../../../core/ports.ts';
import { failpoint } from '../../../observability/failpoint.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { CounterFeed } from './counter-feed.ts';
import {
  addTo,
  addWritten,
  type CounterRecord,
  emptyCounterRecord,
  encodeCounterRecord,
  type ProgressRow,
  progressOf,
  setProgress,
} from './counter-record.ts';
import type { GroupConsumer } from './group-consumer.ts';
import { brokerCode, errorFromNative, NATIVE } from './kafka-errors.ts';
import { produceRecord } from './kafka-record.ts';
import {
  type KafkaConnection,
  producerSettings,
  TRANSACTION_MS_MAX,
  TRANSACTION_SETTINGS,
} from './kafka-settings.ts';
import {
  called,
  type NativeClient,
  type NativeConsumer,
  type NativeError,
  type NativeProducer,
} from './native-client.ts';
import { connectHandle, disconnectHandle } from './native-handles.ts';

/** What transactions are made with. */
export interface TransactionsOptions {
  readonly client: NativeClient;
  readonly connection: KafkaConnection;
  /** Stable over restarts: who starts with it ends what its predecessor left open. */
  readonly transactionalId: string;
  /** Full name of the topic of counters. */
  readonly countersTopic: string;
  readonly feed: CounterFeed;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

/** The offsets of one group in a transaction, and in whose name they are sent. */
export interface GroupPart {
  readonly offsets: readonly GroupOffset[];
  /** Handle whose place in the group goes with the offsets; one that never subscribed has none. */
  readonly native: NativeConsumer;
  /** The member that guards them; null where the group has no member here. */
  readonly member: GroupConsumer | null;
  /** The row that goes into the counters for each offset, same order. */
  rows(record: CounterRecord): readonly ProgressRow[];
}

/** One transaction. */
export interface Work {
  readonly commit: Pick<Commit, 'appends' | 'counters'>;
  /** Called when its turn has come, so that the answer is of that moment. */
  parts(): readonly GroupPart[] | Promise<readonly GroupPart[]>;
}

/** What is committed, made once for all tries. */
interface Prepared {
  readonly appends: readonly Append[];
  readonly parts: readonly GroupPart[];
  readonly isLast: boolean;
}

/** Codes of brokers and client that {@link isAbortable} tells of. */
const REGROUPING: readonly number[] = [22, 27, 45, NATIVE.state];
/** How long a transaction is made again: a revoke waits for it meanwhile. */
const AGAIN_MS_MAX = 4_000;
const AGAIN_PAUSE_MS = 50;
const INIT_MS_MAX = 30_000;
const CALL_MS_MAX = TRANSACTION_MS_MAX;
const ABORT_MS_MAX = 3_000;
const WAITING_MAX = 256;
const QUEUE_PAUSE_MS = 5;

/**
 * The transactions of a process, one at a time through one producer. One, because a producer can hold one
 * transaction open, and because the counters of the process are one sum: with a producer for each group, each
 * would need a transactional id, a connection and sums of its own, for transactions that take 4 ms each.
 *
 * A transaction that the brokers have aborted is made again for a while: a group which members join or leave refuses
 * offsets for the moment, and the client then drops records that it had numbered, which the brokers refuse the next
 * attempt for. After any other failure nothing more is committed: what became of a transaction is then known to the
 * brokers alone, and the process that starts next under the same id settles it.
 */
export class Transactions {
  readonly #options: TransactionsOptions;
  #producer: Promise<NativeProducer> | null = null;
  #record: CounterRecord = emptyCounterRecord();
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #failure: MillraceError | null = null;
  #committed: { readonly id: string; readonly bytes: Buffer } | null = null;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** The sums of this process as of its last transaction that is known to be committed. */
  get committed(): { readonly id: string; readonly bytes: Buffer } | null {
    return this.#committed;
  }

  /** Ends what a predecessor left open, and takes over its sums. Does so once. */
  async start(): Promise<void> {
    this.#producer ??= this.#start();
    try {
      await this.#producer;
    } catch (error) {
      this.#producer = null;
      throw error;
    }
  }

  /** Runs a transaction in its turn. Rejects with ERR_LOG_FENCED where it, or one before, failed. */
  async run(work: Work): Promise<void> {
    if (this.#waiting >= WAITING_MAX) {
      throw new MillraceError('ERR_OVERLOADED', `${WAITING_MAX} transactions wait`);
    }
    this.#waiting += 1;
    const turn = this.#turn.then(async () => {
      try {
        await this.start();
        await this.#run(work);
      } finally {
        this.#waiting -= 1;
      }
    });
    this.#turn = turn.catch(() => {});
    await turn;
  }

  async close(): Promise<void> {
    await this.#turn;
    const producer = await this.#producer?.catch(() => null);
    if (producer !== null && producer !== undefined) await disconnectHandle(producer);
  }

  async #run(work: Work): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const { appends, counters } = work.commit;
    const parts = await work.parts();
    if (appends.length === 0 && counters === undefined && parts.length === 0) return;
    const begun: GroupPart[] = [];
    let isCommitted = false;
    try {
      for (const part of parts) {
        part.member?.begin(part.offsets);
        begun.push(part);
      }
      await this.#transact(work.commit, parts);
      isCommitted = true;
    } finally {
      for (const part of begun) part.member?.finish(part.offsets, isCommitted);
    }
  }

  /**
   * Commits; again where the transaction was aborted: nothing of it is ever read, and the partitions are held until
   * it is over.
   */
  async #transact(commit: Work['commit'], parts: readonly GroupPart[]): Promise<void> {
    const producer = await this.#producer!;
    const bytes = this.#countersFor(commit, parts);
    const appends = [...commit.appends, this.#counterAppend(bytes)];
    const deadlineMs = performance.now() + AGAIN_MS_MAX;
    // Ends: the last attempt is the one after the deadline.
    while (!(await this.#attempt(producer, { appends, parts, isLast: performance.now() > deadlineMs }))) {
      await new Promise(resolve => setTimeout(resolve, AGAIN_PAUSE_MS));
    }
    this.#committed = { id: this.#options.transactionalId, bytes };
    failpoint('kafka.afterCommit');
  }

  /**
   * One transaction; false where it was aborted, so that it can be made again. Once the commit was asked for, only
   * the client's word that it never asked the brokers leads to an abort; and those refuse to abort what they have
   * committed.
   */
  async #attempt(producer: NativeProducer, { appends, parts, isLast }: Prepared): Promise<boolean> {
    let isAsked = false;
    try {
      await called(callback => producer.beginTransaction(callback));
      await this.#produce(producer, appends);
      failpoint('kafka.beforeOffsets');
      for (const { offsets, native } of parts) {
        const positions = offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
        await called(callback => producer.sendOffsetsToTransaction(positions, native, CALL_MS_MAX, callback));
      }
      // The client sent the place it had in the group at that moment. Where that was one from after a loss, the
      // loss shows by now.
      if (isCut(parts)) {
        throw new MillraceError('ERR_LOG_FENCED', 'partitions went to another member during the transaction');
      }
      failpoint('kafka.beforeCommit');
      isAsked = true;
      await called(callback => producer.commitTransaction(CALL_MS_MAX, callback));
      return true;
    } catch (error) {
      const isOpen = isAsked && (error as NativeError).isTxnRequiresAbort !== true;
      const isAborted = !isOpen && (await abort(producer));
      if (!isAborted || !isAbortable(error) || isLast || isCut(parts)) throw this.#fail(error, appends);
      const { message, code } = error as NativeError;
      this.#options.logger.debug({ why: message, nativeCode: code }, 'transaction made again');
      return false;
    }
  }

  /** Appends every record; waits where the client's queue is full, which it empties meanwhile. */
  async #produce(producer: NativeProducer, appends: readonly Append[]): Promise<void> {
    const nowMs = Date.now();
    for (const append of appends) {
      for (const record of append.records) {
        // Ends: the client drops what it cannot deliver, and the transaction then fails.
        while (!tryProduce(producer, append, record, nowMs)) {
          await new Promise(resolve => setTimeout(resolve, QUEUE_PAUSE_MS));
        }
      }
    }
  }

  /**
   * The sums with this transaction in them. Changed in place: where the transaction fails, nothing is ever
   * written from them again.
   */
  #countersFor({ appends, counters }: Work['commit'], parts: readonly GroupPart[]): Buffer {
    const record = this.#record;
    addTo(record, counters ?? {});
    for (const { topic, partition, records } of appends) {
      if (records.length > 0) addWritten(record, topic, partition, records.length);
    }
    for (const part of parts) {
      const rows = part.rows(record);
      for (const [index, row] of part.offsets.entries()) setProgress(record, row, rows[index]!);
    }
    return encodeCounterRecord(record);
  }

  #counterAppend(value: Buffer): Append {
    const { transactionalId: key, countersTopic: topic } = this.#options;
    return { topic, partition: 0, records: [{ key, timeMs: Date.now(), headers: {}, value }] };
  }

  #fail(error: unknown, appends: readonly Append[]): MillraceError {
    const { transactionalId, logger } = this.#options;
    const said = error instanceof MillraceError ? error.why : (error as Error).message;
    const topics = [...new Set(appends.map(({ topic }) => topic))].join(', ');
    const why = `a transaction of ${transactionalId} with records to ${topics} failed: ${said}`;
    const nativeCode = (error as Partial<NativeError>).code;
    const named = brokerCode(nativeCode ?? 0);
    // Nobody else has taken the place then: what has to be mended is said as for any other call.
    const options = named === undefined ? {} : { remedy: ERRORS[named].remedy };
    this.#failure = new MillraceError('ERR_LOG_FENCED', why, { cause: error, ...options });
    logger.warn({ why, nativeCode, remedy: this.#failure.remedy }, 'fenced');
    return this.#failure;
  }

  async #start(): Promise<NativeProducer> {
    const { client, connection, transactionalId, feed } = this.#options;
    const { brokers } = connection;
    const producer = new client.Producer(
      {
        ...producerSettings(connection),
        ...TRANSACTION_SETTINGS,
        'transactional.id': transactionalId,
      },
      {},
    );
    await connectHandle(producer, this.#options);
    try {
      // Reports of delivery stay off here: the commit says whether all were delivered, and each report costs a call.
      producer.setPollInBackground(true);
      await called(callback => producer.initTransactions(INIT_MS_MAX, callback));
    } catch (error) {
      void disconnectHandle(producer);
      const doing = `begin transactions as transactional id ${transactionalId}`;
      throw errorFromNative(error as NativeError, { brokers, doing });
    }
    try {
      // Only now: what the predecessor had committed is in the topic, and what it left open never will be.
      await feed.complete();
    } catch (error) {
      // A handle that is left connected keeps the process up.
      await disconnectHandle(producer);
      throw error;
    }
    this.#record = feed.recordOf(transactionalId) ?? emptyCounterRecord();
    return producer;
  }
}

/**
 * True where a transaction has failed for what members that join or leave bring about: the group has a new
 * generation or is about to (22, 27), the client's numbers have a gap (45), or it says of what goes to a transaction
 * that failed so that its state is wrong. An outage is none of them: the process leaves.
 */
function isAbortable(error: unknown): boolean {
  return REGROUPING.includes((error as Partial<NativeError>).code ?? 0);
}

/** Aborts what is open; false where it is not known to be aborted. */
function abort(producer: NativeProducer): Promise<boolean> {
  return called(callback => producer.abortTransaction(ABORT_MS_MAX, callback)).then(
    () => true,
    () => false,
  );
}

function isCut(parts: readonly GroupPart[]): boolean {
  return parts.some(({ member }) => member?.isCut() === true);
}

/** The row after a member's commit: the offset, and what was passed with it. */
export function memberRow(
  record: CounterRecord,
  row: GroupOffset,
  { epoch, count }: { readonly epoch: number; readonly count: number },
): ProgressRow {
  const before = progressOf(record, row);
  const passed = before !== undefined && before[0] === epoch ? before[2] : 0;
  return [epoch, row.offset, passed + count];
}

/** Hands a record over; false where the client's queue is full. */
function tryProduce(
  producer: NativeProducer,
  append: Append,
  record: Append['records'][number],
  nowMs: number,
): boolean {
  try {
    produceRecord(producer, append, record, { nowMs, opaque: undefined });
    return true;
  } catch (error) {
    if ((error as Partial<NativeError>).code !== NATIVE.queueFull) throw error;
    return false;
  }
}
