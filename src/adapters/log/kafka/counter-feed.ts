import { MillraceError } from '../../../core/errors.ts';
import type { Logger } from '../../../observability/logger.ts';
import { type CounterRecord, CounterSums, decodeCounterRecord } from './counter-record.ts';
import { type Fetched, Fetcher } from './fetcher.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { type KafkaConnection, TRANSACTION_MS_MAX } from './kafka-settings.ts';
import { ReadySignal } from './ready-signal.ts';

/** What the feed is made with. */
export interface CounterFeedOptions {
  readonly connection: KafkaConnection;
  readonly admin: KafkaAdmin;
  /** Full name of the topic of counters. */
  readonly topic: string;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

/** How long {@link CounterFeed.complete} waits: by then the brokers have ended what a dead process left open. */
const COMPLETE_MS_MAX = 2 * TRANSACTION_MS_MAX + 5_000;
const HANGING_REMEDY =
  'Look for the process that holds it; if none does: kafka-transactions.sh find-hanging, then abort.';
const LOOK_MS = 1_000;
const FETCH_WAIT_MS = 500;
/** From one fetch to the next while nobody waits: each transaction of each process would else bring one about. */
const PACE_MS = 250;

/**
 * Follows the topic of counters in the background, committed records only, and keeps the last one of each
 * process. The topic has one partition, so what is known at any time is a prefix of all transactions in the order
 * in which they began to be committed: a reader's transaction is never known without those that it had read from.
 */
export class CounterFeed {
  readonly #options: CounterFeedOptions;
  readonly #fetcher: Fetcher;
  readonly #ready = new ReadySignal();
  readonly #last = new Map<string, Buffer>();
  #waiters: { readonly position: number; end(isKnown: boolean): void }[] = [];
  #position = -1;
  /** What kept it from reading and does not end by itself; null once something came. */
  #failure: Error | null = null;
  #isClosed = false;
  #reading: Promise<void> | null = null;

  constructor(options: CounterFeedOptions) {
    this.#options = options;
    this.#fetcher = new Fetcher({
      ...options,
      waitMsMax: FETCH_WAIT_MS,
      onReady: () => this.#ready.set(),
      paceMs: () => (this.#waiters.length > 0 ? 0 : PACE_MS),
    });
  }

  /** Begins to read. */
  start(): void {
    this.#fetcher.add({ topic: this.#options.topic, partition: 0 }, 0);
    this.#reading = this.#read();
  }

  /** Everything that is known, all processes together; `own` stands in for the last known record of its id. */
  sums(own: { readonly id: string; readonly bytes: Buffer } | null): CounterSums {
    const last = own === null ? this.#last : new Map(this.#last).set(own.id, own.bytes);
    return new CounterSums([...last.values()].map(decodeCounterRecord));
  }

  /** The last record of a transactional id; undefined where it never committed. */
  recordOf(transactionalId: string): CounterRecord | undefined {
    const bytes = this.#last.get(transactionalId);
    return bytes === undefined ? undefined : decodeCounterRecord(bytes);
  }

  /**
   * Resolves with true when every transaction that was begun before the call, and came to be committed, is known;
   * with false where the wait ran out: some process holds one open.
   */
  async catchUp(waitMsMax: number): Promise<boolean> {
    this.#checkOpen();
    // The last stable offset is no answer: it lies before what open transactions have written.
    const position = await this.#options.admin.lastEnd(this.#options.topic, 0);
    if (this.#position >= position) return true;
    if (this.#isClosed) return false;
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter(entry => entry !== waiter);
        resolve(false);
      }, waitMsMax);
      const waiter = {
        position,
        end(isKnown: boolean) {
          clearTimeout(timer);
          resolve(isKnown);
        },
      };
      this.#waiters.push(waiter);
      this.#fetcher.hurry();
    });
  }

  /**
   * {@link CounterFeed.catchUp} for who cannot do with less. Throws ERR_STORE_UNAVAILABLE, or what keeps the topic from
   * being read.
   */
  async complete(): Promise<void> {
    if (await this.catchUp(COMPLETE_MS_MAX)) return;
    this.#checkOpen();
    if (this.#failure !== null) throw this.#failure;
    const why = `a transaction has been open for ${COMPLETE_MS_MAX} ms`;
    const brokers = this.#options.connection.brokers.join(', ');
    throw new MillraceError('ERR_STORE_UNAVAILABLE', `${brokers}: ${why}`, { remedy: HANGING_REMEDY });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ready.set();
    for (const waiter of this.#waiters.splice(0)) waiter.end(false);
    await this.#reading;
    await this.#fetcher.close();
  }

  async #read(): Promise<void> {
    // Ends when it is closed: each round waits for a signal where there is nothing to read.
    while (!this.#isClosed) {
      this.#ready.clear();
      const fetched = this.#next();
      if (fetched === undefined) {
        await this.#ready.wait(LOOK_MS);
        continue;
      }
      for (const { key, value, offset } of fetched.records) {
        // The rest of what came with it is not held.
        if (key !== null && value.length > 0) this.#last.set(key, Buffer.from(value));
        this.#reach(offset + 1);
      }
      if (fetched.end !== undefined) this.#reach(fetched.end);
    }
  }

  /** What came next; undefined where nothing did, or could be read. */
  #next(): Fetched | undefined {
    try {
      const fetched = this.#fetcher.next();
      if (fetched !== undefined) this.#failure = null;
      return fetched;
    } catch (error) {
      this.#failure = error as Error;
      this.#options.logger.warn({ why: this.#failure.message }, 'counters cannot be read');
      return undefined;
    }
  }

  #reach(position: number): void {
    this.#position = Math.max(this.#position, position);
    const reached = this.#waiters.filter(waiter => waiter.position <= this.#position);
    if (reached.length === 0) return;
    this.#waiters = this.#waiters.filter(waiter => waiter.position > this.#position);
    for (const waiter of reached) waiter.end(true);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
  }
}
