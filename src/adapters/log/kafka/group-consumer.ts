// A long file: polls, rebalances and transactions change the same tenures, each while the others wait.
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, MillraceError } from '../../../core/errors.ts';
import type { Consumer, GroupOffset, PollLimit } from '../../../core/ports.ts';
import type { LogRecord } from '../../../core/record.ts';
import type { Logger } from '../../../observability/logger.ts';
import { type Fetched, Fetcher } from './fetcher.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { errorFromNative, NATIVE } from './kafka-errors.ts';
import { consumerSettings, type KafkaConnection, MEMBER_SETTINGS } from './kafka-settings.ts';
import {
  committedOffsets,
  consumeReady,
  type NativeClient,
  type NativeConsumer,
  type NativeError,
  type NativePosition,
} from './native-client.ts';
import { connectHandle, disconnectHandle } from './native-handles.ts';
import { ReadySignal } from './ready-signal.ts';
import { TenureBuffer } from './tenure-buffer.ts';
import { type Place, type Tenure, Tenures } from './tenures.ts';

/** What a member of a group is made with. */
export interface GroupConsumerOptions {
  readonly client: NativeClient;
  readonly connection: KafkaConnection;
  readonly admin: KafkaAdmin;
  /** Name of the group as the port has it, and on the brokers. */
  readonly group: string;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly requestMsMax: number;
  readonly logger: Logger;
  onClose(consumer: GroupConsumer): void;
  /** Called when {@link GroupConsumer.restOffsets} has some to commit. */
  onRest(consumer: GroupConsumer): void;
}

/** How long a revoke waits for what was handed out to be committed; members wait for it, so it must be short. */
const REVOKE_MS_MAX = 5_000;
/** How long joining may take before polls go on waiting for it. */
const JOIN_MS_MAX = 10_000;
/** How long a poll looks for records that may be there, however short it was told to wait. */
const FETCH_MS_MAX = 1_000;
/** Also the longest silence between two calls that keep the member's place in the group. */
const WAIT_MS_MAX = 1_000;
/** Pause between looks, and before committed offsets are asked for again. */
const JOIN_LOOK_MS = 100;
/** What is unpacked at most before the first poll. */
const START_LIMIT = { recordsMax: 4_096, bytesMax: 4 * 1024 * 1024, waitMsMax: 0 };
/** With 100 two idle workers took 23 and 20 ms of CPU a second and the broker 92, with 500 16, 13 and 68. */
const FETCH_WAIT_MS = 500;
/** How often the client is called where it has not asked for it. */
const SERVE_EVERY_MS = 100;
/** How often offsets are moved past control records, at most. */
const REST_EVERY_MS = 200;

interface Rebalance {
  readonly error: NativeError;
  readonly partitions: readonly NativePosition[];
}

interface Revoke {
  readonly partitions: readonly NativePosition[];
  readonly timer: NodeJS.Timeout;
}

/**
 * A member of a consumer group: the native client keeps its place there, a {@link Fetcher} reads. Guards what the
 * brokers cannot see: the client stamps a commit with whatever place it has in the group at that moment, so that after
 * a rebalance work from before it would pass. Therefore work belongs to a {@link Tenure}; a tenure that ends with work
 * open shuts the member off for good, and who commits asks {@link GroupConsumer.begin} before and
 * {@link GroupConsumer.isCut} after the broker took the offsets.
 */
export class GroupConsumer implements Consumer {
  readonly native: NativeConsumer;
  readonly #options: GroupConsumerOptions;
  readonly #tenures = new Tenures();
  readonly #ready = new ReadySignal();
  /** Given when a transaction has ended. */
  readonly #settled = new ReadySignal();
  readonly #fetcher: Fetcher;
  readonly #buffer = new TenureBuffer();
  readonly #rebalances: Rebalance[] = [];
  readonly #revokes = new Set<Revoke>();
  #isAssigned = false;
  #isPolling = false;
  /** True where the client has something to say. */
  #isNativeReady = true;
  #servedAtMs = 0;
  #serving: Promise<unknown> | null = null;
  #isClosed = false;
  #cut: MillraceError | null = null;
  #failure: MillraceError | null = null;
  #restedAtMs = 0;

  constructor(options: GroupConsumerOptions) {
    this.#options = options;
    const onRebalance = (error: NativeError, partitions: readonly NativePosition[]) => {
      this.#rebalances.push({ error, partitions });
      if (this.#serving === null) this.#serveRebalances();
    };
    this.native = new options.client.KafkaConsumer(
      {
        ...consumerSettings(options.connection, options.groupId),
        ...MEMBER_SETTINGS,
        rebalance_cb: onRebalance,
        queue_non_empty_cb: () => {
          this.#isNativeReady = true;
          this.#ready.set();
        },
      },
      {},
    );
    this.native.setDefaultConsumeTimeout(0);
    this.#fetcher = new Fetcher({ ...options, waitMsMax: FETCH_WAIT_MS, onReady: () => this.#ready.set() });
  }

  get group(): string {
    return this.#options.group;
  }

  /**
   * Joins the group, and waits a while for partitions and what is at their beginning or end. Leaves it again and
   * rejects where the signal is aborted meanwhile.
   */
  async start(signal?: AbortSignal): Promise<void> {
    const { topics } = this.#options;
    await connectHandle(this.native, this.#options);
    this.native.subscribe([...topics]);
    const deadlineMs = performance.now() + JOIN_MS_MAX;
    const isReady = () =>
      !this.#buffer.isShortOf(START_LIMIT) || (this.#isAssigned && this.#tenures.areKnown);
    const isGivenUp = () => this.#isClosed || signal?.aborted === true;
    while (!isReady() && !isGivenUp() && performance.now() < deadlineMs) {
      this.#ready.clear();
      await this.#serve();
      while (!isReady() && this.#accept(this.#fetcher.next()));
      if (!isReady()) await this.#ready.wait(JOIN_LOOK_MS);
    }
    if (signal?.aborted !== true) return;
    await this.close();
    throw signal.reason;
  }

  async poll(limit: PollLimit): Promise<readonly LogRecord[]> {
    assert(!this.#isPolling, 'one poll at a time');
    assert(limit.recordsMax > 0, 'a poll may return a record');
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the consumer is closed');
    this.#isPolling = true;
    try {
      return await this.#poll(limit);
    } finally {
      this.#isPolling = false;
    }
  }

  isCaughtUp(): boolean {
    return this.#isAssigned && this.#buffer.isEmpty && this.#tenures.areCaughtUp;
  }

  /** Leaves the group. What was handed out and is not committed goes to whoever comes next. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ready.set();
    this.#options.onClose(this);
    await this.#serving;
    await this.#settle();
    // A revoke that is held would be waited for without end.
    for (const revoke of this.#revokes) this.#letGo(revoke);
    await Promise.all([disconnectHandle(this.native), this.#fetcher.close()]);
  }

  /** Waits a while for transactions that name the place in the group: one that is left is refused. */
  async #settle(): Promise<void> {
    const deadlineMs = performance.now() + REVOKE_MS_MAX;
    while (this.#tenures.isPinned && performance.now() < deadlineMs) {
      this.#settled.clear();
      await this.#settled.wait(deadlineMs - performance.now());
    }
  }

  /** True while something that was handed out is not committed. */
  get hasWork(): boolean {
    return this.#tenures.haveWork;
  }

  /** The present tenure of a partition. */
  tenureOf(place: Place): Tenure | undefined {
    return this.#tenures.find(place.topic, place.partition);
  }

  /**
   * Called before a transaction takes the offsets; from here to {@link GroupConsumer.finish} no partition of them
   * is let go unnoticed. Throws ERR_LOG_FENCED where they stand for work that is no longer this member's.
   */
  begin(offsets: readonly GroupOffset[]): void {
    if (this.isCut()) throw this.#cut ?? this.#cutOff('the group has given its partitions to others');
    const { topics } = this.#options;
    const strange = offsets.find(row => topics.includes(row.topic) && !this.#tenures.covers(row));
    if (strange !== undefined) {
      const { topic, partition, offset } = strange;
      throw this.#cutOff(`offset ${offset} of ${topic}:${partition} is not of the present assignment`);
    }
    for (const row of offsets) this.#pin(row, 1);
  }

  /** True where the member has lost work; costs a comparison. */
  isCut(): boolean {
    return this.#cut !== null || (!this.#isClosed && this.native.assignmentLost());
  }

  /** Notes the end of a transaction, and lets partitions go that waited for it. */
  finish(offsets: readonly GroupOffset[], isCommitted: boolean): void {
    for (const row of offsets) {
      this.#pin(row, -1);
      if (isCommitted) this.tenureOf(row)?.committed(row.offset);
    }
    this.#settled.set();
    for (const revoke of this.#revokes) this.#release(revoke);
  }

  /** Offsets past the control records of partitions that are at their end with nothing open. */
  restOffsets(): readonly GroupOffset[] {
    if (this.isCut() || this.#isClosed) return [];
    return [...this.#tenures.all].flatMap(({ topic, partition, restTo }) =>
      restTo === undefined ? [] : [{ group: this.group, topic, partition, offset: restTo }],
    );
  }

  /** Notes an end that somebody has seen: short of it the member is not caught up. */
  noteEnd({ topic, partition }: Place, offset: number): void {
    const tenure = this.#tenures.find(topic, partition);
    if (tenure !== undefined) tenure.knownEnd = Math.max(tenure.knownEnd, offset);
  }

  /** Says that a partition is about to grow. */
  willGrow(place: Place): void {
    this.tenureOf(place)?.willGrow();
  }

  async #poll(limit: PollLimit): Promise<readonly LogRecord[]> {
    const startedMs = performance.now();
    this.#buffer.reclaim();
    // Ends at one of the two deadlines: each round waits for a signal.
    for (;;) {
      if (this.#cut !== null) throw this.#cut;
      if (this.#isClosed) return [];
      this.#ready.clear();
      await this.#serve();
      this.#fill(limit);
      const ready = this.#buffer.take(limit);
      if (ready.length > 0) return ready;
      this.#rest();
      const waitMsMax = this.isCaughtUp() ? limit.waitMsMax : Math.max(limit.waitMsMax, FETCH_MS_MAX);
      const waitMs = startedMs + waitMsMax - performance.now();
      if (waitMs <= 0) return [];
      await this.#ready.wait(Math.min(waitMs, WAIT_MS_MAX));
    }
  }

  /** Has the client serve what the group has to say, rebalances, where it may have something. */
  async #serve(): Promise<void> {
    const nowMs = performance.now();
    if (!this.#isNativeReady && nowMs - this.#servedAtMs < SERVE_EVERY_MS) return;
    this.#isNativeReady = false;
    this.#servedAtMs = nowMs;
    const serving = consumeReady(this.native, 1);
    this.#serving = serving;
    const served = await serving;
    this.#serving = null;
    if (served instanceof Error) this.#meetError(served);
    this.#serveRebalances();
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Unpacks about as much as the limit asks for. */
  #fill(limit: PollLimit): void {
    while (this.#buffer.isShortOf(limit) && this.#accept(this.#fetcher.next()));
  }

  /** Buffers what was fetched; false where it is nothing. */
  #accept(fetched: Fetched | undefined): boolean {
    if (fetched === undefined) return false;
    const tenure = this.#tenures.find(fetched.topic, fetched.partition);
    if (tenure === undefined) return true;
    this.#buffer.add(fetched, tenure);
    if (fetched.end !== undefined) tenure.endAt = Math.max(tenure.endAt, fetched.end);
    return true;
  }

  /** Errors that end by themselves are waited out; others are the operator's to mend, the next poll throws them. */
  #meetError(error: NativeError): void {
    const { connection, group, topics, logger } = this.#options;
    const doing = `read ${topics.join(', ')} as a member of group ${group}`;
    const named = errorFromNative(error, { brokers: connection.brokers, doing });
    if (error.code === NATIVE.fatal) this.#failure = this.#cutOff(error.message);
    else if (named.code !== 'ERR_STORE_UNAVAILABLE') this.#failure = named;
    else logger.warn({ why: named.why }, 'consumer waits for the brokers');
  }

  #serveRebalances(): void {
    for (const { error, partitions } of this.#rebalances.splice(0)) {
      if (error.code === NATIVE.assignPartitions) this.#assign(partitions);
      else this.#revoke(partitions);
    }
  }

  #assign(partitions: readonly NativePosition[]): void {
    for (const place of partitions) this.#tenures.begin(place);
    this.#isAssigned = true;
    this.#tell(() => {
      this.native.incrementalAssign(partitions);
      // It keeps the place in the group and fetches nothing.
      this.native.pause(partitions);
    });
    void this.#locate(partitions);
    this.#options.logger.info({ group: this.group, partitions: partitions.length }, 'partitions assigned');
  }

  /** Has partitions read from where the group has committed to. */
  async #locate(places: readonly Place[]): Promise<void> {
    const tenures = places.map(({ topic, partition }) => this.#tenures.find(topic, partition)!);
    // Ends with an answer, or when the partitions are given away.
    while (!this.#isClosed && tenures.some(({ isOpen }) => isOpen)) {
      try {
        const offsets = await committedOffsets(this.native, places, this.#options.requestMsMax);
        for (const [index, tenure] of tenures.entries()) {
          if (tenure.isOpen && !this.#isClosed) this.#fetcher.add(tenure, offsets[index]!);
        }
        return;
      } catch (error) {
        if (this.#isClosed) return;
        this.#meetError(error as NativeError);
        this.#ready.set();
        await sleep(JOIN_LOOK_MS);
      }
    }
  }

  #revoke(partitions: readonly NativePosition[]): void {
    const isLost = this.native.assignmentLost();
    this.#options.logger.info(
      { group: this.group, partitions: partitions.length, isLost },
      'partitions revoked',
    );
    for (const { topic, partition } of partitions) {
      const tenure = this.#tenures.find(topic, partition);
      if (tenure !== undefined) tenure.isRevoking = true;
    }
    const timer = setTimeout(() => this.#letGo(revoke), REVOKE_MS_MAX);
    const revoke: Revoke = { partitions, timer };
    this.#revokes.add(revoke);
    if (isLost || this.#isClosed) this.#letGo(revoke);
    else this.#release(revoke);
  }

  /** Lets revoked partitions go once their work is committed. */
  #release(revoke: Revoke): void {
    const hasWork = revoke.partitions.some(
      ({ topic, partition }) => this.#tenures.find(topic, partition)?.hasWork === true,
    );
    if (!hasWork) this.#letGo(revoke);
  }

  #letGo(revoke: Revoke): void {
    clearTimeout(revoke.timer);
    this.#revokes.delete(revoke);
    const open = this.#tenures.end(revoke.partitions);
    for (const place of revoke.partitions) this.#fetcher.remove(place);
    if (open.length > 0 && !this.#isClosed) {
      const places = open.map(({ topic, partition }) => `${topic}:${partition}`).join(', ');
      this.#cutOff(`${places} taken away with work open`);
    }
    this.#tell(() => this.native.incrementalUnassign(revoke.partitions));
    this.#ready.set();
  }

  /** Answers a rebalance. The client refuses the answer where it has left the group meanwhile. */
  #tell(answer: () => unknown): void {
    try {
      answer();
    } catch (error) {
      if (!this.#isClosed)
        this.#cutOff(`a rebalance could not be answered: ${(error as NativeError).message}`);
    }
  }

  #cutOff(why: string): MillraceError {
    this.#cut ??= new MillraceError('ERR_LOG_FENCED', `group ${this.group}: ${why}`);
    this.#options.logger.warn({ why: this.#cut.why }, 'fenced');
    return this.#cut;
  }

  #pin({ topic, partition }: Place, by: number): void {
    const tenure = this.#tenures.find(topic, partition);
    if (tenure !== undefined) tenure.pins = Math.max(0, tenure.pins + by);
  }

  /** Has offsets moved past control records where partitions are at their end, so that the lag is 0. */
  #rest(): void {
    const nowMs = performance.now();
    if (nowMs - this.#restedAtMs < REST_EVERY_MS) return;
    this.#restedAtMs = nowMs;
    if (this.restOffsets().length > 0) this.#options.onRest(this);
  }
}
