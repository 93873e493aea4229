/** A 128-bit digest as four unsigned 32-bit words, written into and read from a shared scratch array. */
export type Digest = Uint32Array;

const WORDS_PER_SLOT = 5;
const SLOTS_MIN = 1024;
/** Above this share of used slots probes get long; below two thirds of it the table wastes memory. */
const LOAD_MAX = 0.75;
const GROWTH = 1.5;

/**
 * An exact set of digests with the time of each, in one typed array: 20 bytes a slot, 27 to 40 bytes a key.
 *
 * Open addressing with linear probing; keys are never removed one by one (a whole table is dropped when all of
 * it has expired), so there are no tombstones. Times are kept relative to `baseMs` in a signed 32-bit word.
 */
export class DigestTable {
  readonly baseMs: number;
  /** Latest time of any key, epoch ms. */
  latestMs: number;
  count = 0;
  #slots: Uint32Array;
  #capacity: number;

  constructor(baseMs: number, capacity = SLOTS_MIN) {
    this.baseMs = baseMs;
    this.latestMs = baseMs;
    this.#capacity = capacity;
    this.#slots = new Uint32Array(capacity * WORDS_PER_SLOT);
  }

  /** Rebuilds a table from {@link DigestTable.bytes}; the array is taken over. */
  static from(saved: {
    readonly baseMs: number;
    readonly latestMs: number;
    readonly count: number;
    readonly slots: Uint32Array;
  }): DigestTable {
    const table = new DigestTable(saved.baseMs, 0);
    table.latestMs = saved.latestMs;
    table.count = saved.count;
    table.#capacity = saved.slots.length / WORDS_PER_SLOT;
    table.#slots = saved.slots;
    return table;
  }

  /** Whether this table can hold a time: about 24 days either side of its base. */
  canHold(timeMs: number): boolean {
    return Math.abs(timeMs - this.baseMs) < 0x7fffffff;
  }

  /** The time of a digest, epoch ms, or NaN where it is not in the table. */
  timeOf(digest: Digest): number {
    const slot = this.#find(digest);
    return this.#isUsed(slot) ? this.baseMs + (this.#slots[slot + 4]! | 0) : Number.NaN;
  }

  /** Adds a digest, or moves the time of one that is there. `canHold(timeMs)` must be true. */
  set(digest: Digest, timeMs: number): void {
    const slot = this.#find(digest);
    const isNew = !this.#isUsed(slot);
    const slots = this.#slots;
    // One by one: `set` of four words takes ten times as long.
    for (let word = 0; word < 4; word++) slots[slot + word] = digest[word]!;
    slots[slot + 4] = timeMs - this.baseMs;
    if (timeMs > this.latestMs) this.latestMs = timeMs;
    if (isNew && ++this.count > this.#capacity * LOAD_MAX) this.#grow();
  }

  /** The slots as they lie in memory; valid until the next `set`. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#slots.buffer, this.#slots.byteOffset, this.#slots.byteLength);
  }

  /** Word index of the slot that holds the digest, or of the free slot where it belongs. */
  #find(digest: Digest): number {
    const slots = this.#slots;
    const end = slots.length;
    const [a, b, c, d] = [digest[0]!, digest[1]!, digest[2]!, digest[3]!];
    let slot = Math.floor((a / 0x100000000) * this.#capacity) * WORDS_PER_SLOT;
    // Ends: at least a quarter of the slots is free.
    while (true) {
      const word = slots[slot]!;
      if (word === a && slots[slot + 1] === b && slots[slot + 2] === c && slots[slot + 3] === d) return slot;
      if (word === 0 && !this.#isUsed(slot)) return slot;
      slot += WORDS_PER_SLOT;
      if (slot === end) slot = 0;
    }
  }

  /** A digest is never all zero (its maker sees to that), so four zero words mean a free slot. */
  #isUsed(slot: number): boolean {
    const slots = this.#slots;
    return (slots[slot]! | slots[slot + 1]! | slots[slot + 2]! | slots[slot + 3]!) !== 0;
  }

  #grow(): void {
    const old = this.#slots;
    this.#capacity = Math.ceil(this.#capacity * GROWTH);
    this.#slots = new Uint32Array(this.#capacity * WORDS_PER_SLOT);
    // Word by word, as in `set`: with a view of each entry, adding 250,000 keys took twice as long.
    const digest = new Uint32Array(4);
    for (let from = 0; from < old.length; from += WORDS_PER_SLOT) {
      for (let word = 0; word < 4; word++) digest[word] = old[from + word]!;
      if ((digest[0]! | digest[1]! | digest[2]! | digest[3]!) === 0) continue;
      const to = this.#find(digest);
      for (let word = 0; word < WORDS_PER_SLOT; word++) this.#slots[to + word] = old[from + word]!;
    }
  }
}
