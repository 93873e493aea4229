import xxhash from 'xxhash-wasm';
import type { MarkKey } from '../../core/job.ts';
import type { Digest } from './digest-table.ts';

/** Digests kept between a look-up and the marks that follow it, at most; more are worked out again. */
const KEPT_MAX = 65_536;
/** Keys that are passed over in search of one: as many as take no longer than working its digest out. */
const PASSED_MAX = 256;
const WORDS = 4;

/**
 * Digests of keys: two xxHash64 under secret seeds. The hash alone could be steered into a collision by a sender who
 * knows it. Those of keys that were looked up are kept until they are marked: working one out takes four calls into
 * WebAssembly with the key's text. Keys are marked in the order in which they were looked up, without those that were
 * seen before, so the next one to be taken lies shortly behind the last.
 */
export class KeyDigests {
  readonly #h64: (text: string, seed: bigint) => bigint;
  readonly #seeds: readonly [bigint, bigint];
  readonly #scratch = new Uint32Array(WORDS);
  readonly #halves = new BigUint64Array(this.#scratch.buffer);
  /** The keys whose digests lie in the memory, one after another. */
  #kept: MarkKey[] = [];
  #memory = new Uint32Array(1024 * WORDS);
  /** Index of the key behind the one that was taken last. */
  #next = 0;

  private constructor(h64: (text: string, seed: bigint) => bigint, seeds: readonly [bigint, bigint]) {
    this.#h64 = h64;
    this.#seeds = seeds;
  }

  /** `seeds`: 16 bytes, secret. */
  static async create(seeds: Buffer): Promise<KeyDigests> {
    const { h64 } = await xxhash();
    return new KeyDigests(h64, [seeds.readBigUInt64LE(0), seeds.readBigUInt64LE(8)]);
  }

  /** The digest, kept for {@link take}; valid until the next call. */
  keep(key: MarkKey): Digest {
    const digest = this.#compute(key);
    if (this.#kept.length === KEPT_MAX) this.clear();
    const at = this.#kept.push(key) * WORDS - WORDS;
    if (at === this.#memory.length) this.#grow();
    for (let word = 0; word < WORDS; word++) this.#memory[at + word] = digest[word]!;
    return digest;
  }

  /** The digest, as kept where it was; valid until the next call. */
  take(key: MarkKey): Digest {
    const end = Math.min(this.#kept.length, this.#next + PASSED_MAX);
    for (let index = this.#next; index < end; index++) {
      const kept = this.#kept[index]!;
      if (kept.key !== key.key || kept.space !== key.space) continue;
      this.#next = index + 1;
      const at = index * WORDS;
      for (let word = 0; word < WORDS; word++) this.#scratch[word] = this.#memory[at + word]!;
      return this.#scratch;
    }
    return this.#compute(key);
  }

  /** Lets go of what was kept. */
  clear(): void {
    this.#kept = [];
    this.#next = 0;
  }

  #compute({ space, key }: MarkKey): Digest {
    const text = `${space}\0${key}`;
    const halves = this.#halves;
    halves[0] = this.#h64(text, this.#seeds[0]);
    halves[1] = this.#h64(text, this.#seeds[1]);
    // All zero is how tables tell a free slot.
    if (halves[0] === 0n && halves[1] === 0n) halves[0] = 1n;
    return this.#scratch;
  }

  #grow(): void {
    const grown = new Uint32Array(this.#memory.length * 2);
    grown.set(this.#memory);
    this.#memory = grown;
  }
}
