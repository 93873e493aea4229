import type { Mark, MarkKey, MarkSpace } from '../core/job.ts';
import type { Sighting, StateStore } from '../core/ports.ts';
import { sightingWith } from '../core/sighting.ts';

/**
 * The marks that the chunks of a batch have decided on so far, which the state store may not have been told of: a
 * later chunk must see them all the same. It ends with the batch; marks that the store holds by then change nothing.
 */
export class DecidedMarks {
  readonly #ttlMs: number;
  readonly #spaces = new Map<MarkSpace, Map<string, Mark[]>>();

  /** @param ttlMs  how long a mark lives, as the store has it */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  add(marks: readonly Mark[]): void {
    for (const mark of marks) {
      let keys = this.#spaces.get(mark.space);
      if (keys === undefined) {
        keys = new Map();
        this.#spaces.set(mark.space, keys);
      }
      const known = keys.get(mark.key);
      if (known === undefined) keys.set(mark.key, [mark]);
      else known.push(mark);
    }
  }

  /**
   * What the store will answer once it holds every mark that was decided on at the call. A mark that it holds by
   * now is either in its answer or among those.
   */
  async seen(
    state: Pick<StateStore, 'seen'>,
    keys: readonly MarkKey[],
  ): Promise<readonly (Sighting | undefined)[]> {
    const decided: [index: number, marks: readonly Mark[]][] = [];
    for (const [index, { space, key }] of keys.entries()) {
      const marks = this.#spaces.get(space)?.get(key);
      if (marks !== undefined) decided.push([index, [...marks]]);
    }
    const held = await state.seen(keys);
    if (decided.length === 0) return held;
    const sightings = [...held];
    for (const [index, marks] of decided) {
      for (const mark of marks) sightings[index] = sightingWith(sightings[index], mark, this.#ttlMs);
    }
    return sightings;
  }
}

/**
 * A chunk's way through the jobs while other chunks are on theirs: it comes to a job when the chunk before has left
 * it, so that its look-ups there know every earlier mark. Each job so works on one chunk at a time, in order.
 */
export class ChunkLane {
  readonly #before: ChunkLane | undefined;
  readonly #decided: DecidedMarks;
  /** By job: settled when the chunk has left it. */
  readonly #left: readonly PromiseWithResolvers<void>[];

  constructor(jobs: number, decided: DecidedMarks, before: ChunkLane | undefined) {
    this.#before = before;
    this.#decided = decided;
    this.#left = Array.from({ length: jobs }, () => Promise.withResolvers<void>());
    // Where no chunk follows, nobody waits for them.
    for (const { promise } of this.#left) promise.catch(() => {});
  }

  /** Resolves when it is the chunk's turn at a job; rejects with what kept an earlier chunk from leaving it. */
  async enter(job: number): Promise<void> {
    const before = this.#before;
    if (before !== undefined) await before.#left[job]!.promise;
  }

  /** Says that the chunk has left a job, and with which marks. */
  leave(job: number, marks: readonly Mark[]): void {
    this.#decided.add(marks);
    this.#left[job]!.resolve();
  }

  /** Says that the chunk goes no further; the jobs that it has left are left. */
  fail(error: unknown): void {
    for (const { reject } of this.#left) reject(error);
  }
}
