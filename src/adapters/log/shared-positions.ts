import { assert } from '../../core/errors.ts';

/** Consumers that may be open at once, over all threads. */
export const CONSUMERS_MAX = 64;

const END = 0;
const ACTIVE_BASE = 1;
const FIRST_CONSUMER = 2;
const FIRST_TOPIC = FIRST_CONSUMER + CONSUMERS_MAX;

/**
 * What all threads of a log see of it at once, as 64-bit numbers in shared memory: the durable end, the base
 * of the active segment, per topic the end of the last frame that holds records of it, and per consumer how
 * far it has come. Written by the owner, but for a consumer's own number.
 */
export class SharedPositions {
  readonly shared: SharedArrayBuffer;
  readonly #slots: BigInt64Array<SharedArrayBuffer>;
  readonly #topics: ReadonlyMap<string, number>;
  /** Polls of this thread that wait for the end to move; they share one wait, for a wait cannot be taken back. */
  readonly #waiters = new Set<() => void>();
  #isWaiting = false;

  constructor(topics: readonly string[], shared?: SharedArrayBuffer) {
    this.shared = shared ?? new SharedArrayBuffer(8 * (FIRST_TOPIC + topics.length));
    this.#slots = new BigInt64Array(this.shared);
    this.#topics = new Map(topics.map((topic, index) => [topic, FIRST_TOPIC + index]));
  }

  /** Address below which everything is durable. */
  end(): number {
    return Number(Atomics.load(this.#slots, END));
  }

  /** Base of the segment that is written to. Read it after {@link end}: it is never behind it. */
  activeBase(): number {
    return Number(Atomics.load(this.#slots, ACTIVE_BASE));
  }

  /** True where records of one of the topics lie at or after an address below the durable end. */
  holdsBeyond(topics: readonly string[], address: number): boolean {
    return topics.some(topic => this.#topicEnd(topic) > address);
  }

  setActiveBase(base: number): void {
    Atomics.store(this.#slots, ACTIVE_BASE, BigInt(base));
  }

  /** Topics without a slot, which are not declared, are left out. */
  setTopicEnd(topic: string, end: number): void {
    const slot = this.#topics.get(topic);
    if (slot !== undefined) Atomics.store(this.#slots, slot, BigInt(end));
  }

  /** Makes a new durable end seen, and wakes who waits for it. The last thing to be set after a commit. */
  setEnd(end: number): void {
    Atomics.store(this.#slots, END, BigInt(end));
    this.wake();
  }

  /** Makes every waiter of every thread look again. */
  wake(): void {
    Atomics.notify(this.#slots, END);
  }

  /** Resolves when the durable end is no longer `end`, when {@link wake} is called, or after `waitMs`. */
  async waitBeyond(end: number, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add(resolve);
    this.#watch();
    if (this.end() !== end) resolve();
    const timer = setTimeout(resolve, waitMs);
    await promise;
    clearTimeout(timer);
    this.#waiters.delete(resolve);
  }

  /** How far a consumer has come: everything before was handed out and done with. */
  consumerAt(slot: number): number {
    return Number(Atomics.load(this.#slots, FIRST_CONSUMER + slot));
  }

  setConsumerAt(slot: number, address: number): void {
    assert(slot >= 0 && slot < CONSUMERS_MAX, `at most ${CONSUMERS_MAX} consumers are open at once`);
    Atomics.store(this.#slots, FIRST_CONSUMER + slot, BigInt(address));
  }

  /** Wakes all waiters of this thread at the next move of the end; it may find that there are none left. */
  #watch(): void {
    if (this.#isWaiting) return;
    const wait = Atomics.waitAsync(this.#slots, END, Atomics.load(this.#slots, END));
    if (!wait.async) return;
    this.#isWaiting = true;
    void wait.value.then(() => {
      this.#isWaiting = false;
      for (const waiter of this.#waiters) waiter();
    });
  }

  #topicEnd(topic: string): number {
    const slot = this.#topics.get(topic);
    return slot === undefined ? 0 : Number(Atomics.load(this.#slots, slot));
  }
}
