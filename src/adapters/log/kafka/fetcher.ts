import { ConnectionPool } from '@platformatic/kafka';
import { MillraceError } from '../../../core/errors.ts';
import type { Logger } from '../../../observability/logger.ts';
import { type Answer, fetchFrom } from './fetch-request.ts';
import type { KafkaAdmin, Leader } from './kafka-admin.ts';
import { brokerCode, errorFromAdmin } from './kafka-errors.ts';
import { adminSettings, type KafkaConnection } from './kafka-settings.ts';
import { committedOnly, type RecordBatch, readBatches, type Unpacked, unpack } from './record-batch.ts';
import { keyOf, type Place } from './tenures.ts';

/** What the fetcher is made with. */
export interface FetcherOptions {
  readonly connection: KafkaConnection;
  readonly admin: KafkaAdmin;
  readonly requestMsMax: number;
  /** How long a fetch waits at the broker for a record; a partition that is added meanwhile waits for its end. */
  readonly waitMsMax: number;
  readonly logger: Logger;
  /** Least time from one fetch to the next, ms, asked for each; none where absent. */
  paceMs?(): number;
  /** Called when {@link Fetcher.next} may have something to say. */
  onReady(): void;
}

/** What a partition has next: records, or none and where it ends. */
export interface Fetched extends Place, Unpacked {
  /** Offset at which the partition ends for readers of committed records; told once, when it is met. */
  readonly end: number | undefined;
}

/** A partition that is being read. */
interface Reading extends Place {
  /** Offset to fetch from. */
  position: number;
  /** Not to be fetched before, ms of the process's clock. */
  restUntilMs: number;
  leader: Leader | undefined;
  /** End that was told last. */
  toldEnd: number | undefined;
}

/** A batch that waits to be unpacked, or an end that waits to be told. */
interface Queued {
  readonly reading: Reading;
  readonly batch: RecordBatch | undefined;
  /** Offset that the fetch began at, maybe within its first batch. */
  readonly fromOffset: number;
  readonly end: number | undefined;
}

/** Bytes, as they come, packed: no fetch is made while as many wait. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/** A partition or broker that failed is left alone for so long, and one whose records cannot be read. */
const REST_MS = 100;
const DAMAGE_REST_MS = 5_000;
// The protocol's numbers.
const OFFSET_OUT_OF_RANGE = 1;
/** No such partition there, no leader, not the leader, no copy, an epoch that is over or to come. */
const LEADER_MOVES: readonly number[] = [3, 5, 6, 9, 74, 75];

/**
 * Reads partitions from an offset on, committed records only. One request at a time is under way to each leader, for
 * all its partitions; what came waits, packed, until it is asked for. Knows nothing of groups. What ends by itself is
 * waited out, a leader that moved and an outage; what an operator has to mend is thrown by {@link Fetcher.next}.
 *
 * Where the log has no record at the offset any more, or never had, it goes on at the log's beginning.
 */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #connections: ConnectionPool;
  readonly #readings = new Map<string, Reading>();
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Leaders, `host:port`, that a request is under way to. */
  readonly #busy = new Set<string>();
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #finding: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** True from an outage to the next answer: it is told once. */
  #isWaiting = false;
  #failure: MillraceError | null = null;
  #isClosed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
    const { connection, requestMsMax, waitMsMax } = options;
    const { clientId, ...settings } = adminSettings(connection, requestMsMax);
    this.#connections = new ConnectionPool(clientId, {
      ...settings,
      requestTimeout: requestMsMax + waitMsMax,
    });
  }

  /** Starts to read a partition from an offset on; where it is read already, from there instead. */
  add({ topic, partition }: Place, offset: number): void {
    const reading = {
      topic,
      partition,
      position: offset,
      restUntilMs: 0,
      leader: undefined,
      toldEnd: undefined,
    };
    this.#readings.set(keyOf(reading), reading);
    this.#fetch();
  }

  /** Stops reading a partition; what is queued of it is dropped. */
  remove(place: Place): void {
    this.#readings.delete(keyOf(place));
  }

  /** Fetches at once where the pace allows it by now. */
  hurry(): void {
    this.#fetch();
  }

  /** What came next of any partition, each in order; undefined where nothing waits. Throws a named error. */
  next(): Fetched | undefined {
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    while (this.#queue.length > 0) {
      const { reading, batch, fromOffset, end } = this.#queue.shift()!;
      const wasFull = this.#queuedBytes >= QUEUE_BYTES_MAX;
      this.#queuedBytes -= batch?.bytes.length ?? 0;
      if (wasFull) this.#fetch();
      if (!this.#isRead(reading)) continue;
      const { topic, partition } = reading;
      if (batch === undefined) return { topic, partition, records: [], memory: null, end };
      try {
        return { topic, partition, ...unpack(batch, reading, fromOffset), end: undefined };
      } catch (error) {
        // What came before it was handed out.
        this.#startOver(reading, Math.max(fromOffset, batch.baseOffset), error);
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#readings.clear();
    await this.#connections.close();
  }

  /** Asks every leader that no request is under way to for what its partitions have. */
  #fetch(): void {
    if (this.#isClosed || this.#queuedBytes >= QUEUE_BYTES_MAX) return;
    const nowMs = performance.now();
    const paceEndMs = this.#askedAtMs + (this.#options.paceMs?.() ?? 0);
    if (paceEndMs > nowMs) {
      this.#wakeAt(paceEndMs);
      return;
    }
    const [due, resting] = divide([...this.#readings.values()], ({ restUntilMs }) => restUntilMs <= nowMs);
    this.#wakeAt(Math.min(...resting.map(({ restUntilMs }) => restUntilMs)));
    if (due.some(({ leader }) => leader === undefined)) this.#find();
    const placed = due.filter(({ leader }) => leader !== undefined);
    for (const [address, readings] of Map.groupBy(placed, ({ leader }) => addressOf(leader!))) {
      if (!this.#busy.has(address)) void this.#ask(address, readings);
    }
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(atMs)) return;
    this.#timer = setTimeout(() => this.#fetch(), Math.max(0, atMs - performance.now()) + 1);
  }

  async #ask(address: string, readings: readonly Reading[]): Promise<void> {
    this.#busy.add(address);
    this.#askedAtMs = performance.now();
    const asked = readings.map(reading => ({ reading, position: reading.position }));
    try {
      const connection = await this.#connections.get(readings[0]!.leader!);
      const answers = await fetchFrom(connection, readings, this.#options.waitMsMax);
      this.#isWaiting = false;
      for (const { reading, position } of asked) {
        const answer = answers.get(keyOf(reading));
        // It may have been given away, or begun anew, meanwhile.
        if (answer !== undefined && this.#isRead(reading) && reading.position === position) {
          this.#accept(reading, answer);
        }
      }
    } catch (error) {
      for (const reading of readings) this.#rest(reading, REST_MS);
      this.#meet(error, `fetch from ${address}`);
    } finally {
      this.#busy.delete(address);
    }
    this.#fetch();
  }

  #accept(reading: Reading, answer: Answer): void {
    if (answer.errorCode !== 0) {
      this.#refused(reading, answer.errorCode);
      return;
    }
    try {
      this.#enqueue(reading, answer);
    } catch (error) {
      this.#startOver(reading, reading.position, error);
    }
  }

  #enqueue(reading: Reading, { records, aborted, lastStableOffset }: Answer): void {
    const batches = records === undefined ? [] : readBatches(records, reading);
    const fromOffset = reading.position;
    const position = Math.max(fromOffset, batches.at(-1)?.nextOffset ?? 0);
    const isEnd = position >= lastStableOffset && position !== reading.toldEnd;
    const wanted = committedOnly(batches, aborted).filter(({ nextOffset }) => nextOffset > fromOffset);
    for (const batch of wanted) {
      this.#queue.push({ reading, batch, fromOffset, end: undefined });
      this.#queuedBytes += batch.bytes.length;
    }
    if (isEnd) {
      this.#queue.push({ reading, batch: undefined, fromOffset, end: position });
      reading.toldEnd = position;
    }
    reading.position = position;
    // A batch that is larger than what was left of the answer; it comes whole when its partition is asked for first.
    if (batches.length === 0 && records !== undefined) this.#rest(reading, REST_MS);
    if (batches.length > 0) {
      // Others come first next time: a fetch ends where it has enough.
      this.#readings.delete(keyOf(reading));
      this.#readings.set(keyOf(reading), reading);
    }
    if (wanted.length > 0 || isEnd) this.#options.onReady();
  }

  /** What a broker refuses for a partition: a position to be set anew, a leader to be found, or a failure. */
  #refused(reading: Reading, errorCode: number): void {
    const { topic, partition } = reading;
    this.#rest(reading, REST_MS);
    if (errorCode === OFFSET_OUT_OF_RANGE) {
      void this.#begin(reading);
    } else if (LEADER_MOVES.includes(errorCode)) {
      this.#options.logger.debug({ topic, partition, errorCode }, 'fetch refused; looks for the leader');
    } else {
      this.#rest(reading, DAMAGE_REST_MS);
      const code = brokerCode(errorCode) ?? 'ERR_STORE_UNAVAILABLE';
      const why = `${this.#brokers}: read ${topic}:${partition}: the broker answers ${errorCode}`;
      this.#meet(new MillraceError(code, why), 'read');
    }
  }

  /** Sets the position to the beginning of the log. */
  async #begin(reading: Reading): Promise<void> {
    const { topic, partition, position } = reading;
    reading.restUntilMs = Number.POSITIVE_INFINITY;
    try {
      const ends = await this.#options.admin.ends([{ topic, partitions: partition + 1 }]);
      reading.position = ends.get(topic)?.[partition]?.startOffset ?? position;
      const { logger } = this.#options;
      logger.warn(
        { topic, partition, lost: position, from: reading.position },
        'no such offset; reads from the first',
      );
    } catch (error) {
      this.#meet(error, `find the beginning of ${topic}:${partition}`);
    }
    this.#rest(reading, REST_MS);
    this.#fetch();
  }

  /** Fetches again from an offset on, after a while: what came was damaged. */
  #startOver(reading: Reading, offset: number, error: unknown): void {
    const dropped = this.#queue.filter(queued => queued.reading === reading);
    for (const { batch } of dropped) this.#queuedBytes -= batch?.bytes.length ?? 0;
    const kept = this.#queue.filter(queued => queued.reading !== reading);
    this.#queue.splice(0, this.#queue.length, ...kept);
    reading.position = offset;
    reading.toldEnd = undefined;
    this.#rest(reading, DAMAGE_REST_MS);
    this.#meet(error, `read ${keyOf(reading)}`);
    this.#fetch();
  }

  /** Leaves a partition alone for a while, then looks for its leader. */
  #rest(reading: Reading, forMs: number): void {
    reading.leader = undefined;
    reading.restUntilMs = performance.now() + forMs;
  }

  /** Finds the leaders of all partitions that have none. */
  #find(): void {
    this.#finding ??= this.#findLeaders().finally(() => {
      this.#finding = null;
    });
  }

  async #findLeaders(): Promise<void> {
    const topics = [...new Set([...this.#readings.values()].map(({ topic }) => topic))];
    try {
      const leaders = await this.#options.admin.leaders(topics);
      for (const reading of this.#readings.values()) {
        reading.leader ??= leaders.get(keyOf(reading));
      }
    } catch (error) {
      this.#meet(error, `find the leaders of ${topics.join(', ')}`);
    }
    const homeless = [...this.#readings.values()].filter(({ leader }) => leader === undefined);
    for (const reading of homeless) this.#rest(reading, REST_MS);
    this.#fetch();
  }

  /** Errors that end by themselves are waited out; others are the operator's to mend. */
  #meet(error: unknown, doing: string): void {
    if (this.#isClosed) return;
    const named = errorFromAdmin(error, { brokers: this.#options.connection.brokers, doing });
    if (named.code !== 'ERR_STORE_UNAVAILABLE') this.#fail(named);
    else if (!this.#isWaiting)
      this.#options.logger.warn({ why: named.why }, 'consumer waits for the brokers');
    this.#isWaiting = true;
  }

  #fail(failure: MillraceError): void {
    this.#failure ??= failure;
    this.#options.onReady();
  }

  #isRead(reading: Reading): boolean {
    return this.#readings.get(keyOf(reading)) === reading;
  }

  get #brokers(): string {
    return this.#options.connection.brokers.join(', ');
  }
}

function divide<T>(all: readonly T[], is: (one: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(is), all.filter(one => !is(one))];
}

function addressOf({ host, port }: Leader): string {
  return `${host}:${port}`;
}
