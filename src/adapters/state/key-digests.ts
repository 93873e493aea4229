import xxhash from 'xxhash-wasm';
import type { MarkKey, MarkSpace } from '../../core/job.ts';
import type { Digest } from './digest-table.ts';

/** Digests kept between a look-up and the marks that follow it, at most; more are worked out again. */
const KEPT_MAX = 65_536;
const WORDS = 4;

/**
 * Digests of keys: two xxHash64 under secret seeds. The hash alone could be steered into a collision by a sender who
 * knows it. Those of keys that were looked up are kept until they are marked: working one out takes four calls into
 * WebAssembly with the key's text.
 */
export class KeyDigests {
  readonly #h64: (text: string, seed: bigint) => bigint;
  readonly #seeds: readonly [bigint, bigint];
  readonly #scratch = new Uint32Array(WORDS);
  readonly #halves = new BigUint64Array(this.#scratch.buffer);
  /** Space → key → where its words lie in the memory. */
  readonly #kept = new Map<MarkSpace, Map<string, number>>();
  #memory = new Uint32Array(1024 * WORDS);
  #count = 0;

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
  keep({ space, key }: MarkKey): Digest {
    const digest = this.#compute(space, key);
    if (this.#count === KEPT_MAX) this.clear();
    if ((this.#count + 1) * WORDS > this.#memory.length) this.#grow();
    let keys = this.#kept.get(space);
    if (keys === undefined) {
      keys = new Map();
      this.#kept.set(space, keys);
    }
    const at = this.#count * WORDS;
    for (let word = 0; word < WORDS; word++) this.#memory[at + word] = digest[word]!;
    keys.set(key, at);
    this.#count += 1;
    return digest;
  }

  /** The digest, as kept where it was; valid until the next call. */
  take({ space, key }: MarkKey): Digest {
    const at = this.#kept.get(space)?.get(key);
    if (at === undefined) return this.#compute(space, key);
    for (let word = 0; word < WORDS; word++) this.#scratch[word] = this.#memory[at + word]!;
    return this.#scratch;
  }

  /** Lets go of what was kept. */
  clear(): void {
    for (const keys of this.#kept.values()) keys.clear();
    this.#count = 0;
  }

  #compute(space: MarkSpace, key: string): Digest {
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
