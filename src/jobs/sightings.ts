import type { Item, Mark, MarkSpace, Reads } from '../core/job.ts';

/** Which keys of one space were seen before an item: elsewhere, or earlier in the batch at hand. */
export interface Sightings {
  /** True where the key was seen and its mark still lives at the item's time. */
  isSeen(key: string, item: Item): boolean;
  /** Remembers the item as the first sighting of the key. */
  add(key: string, item: Item): void;
  /** First sightings of this batch, in its order; a key comes twice where its first mark ran out in between. */
  readonly marks: readonly Mark[];
}

/**
 * Sightings of one batch. A mark lives while `nowMs - timeMs < ttlMs`, in the batch as in the state store, so
 * the answer does not depend on where a batch was cut. It grows with the batch and ends with it.
 */
export function createSightings(space: MarkSpace, ttlMs: number, reads: Reads): Sightings {
  const marks: Mark[] = [];
  const firstSeenMs = new Map<string, number>();
  return {
    marks,
    isSeen(key, item) {
      const timeMs = firstSeenMs.get(key);
      if (timeMs !== undefined && item.nowMs - timeMs < ttlMs) return true;
      return reads.isSeen({ space, key }, item);
    },
    add(key, item) {
      firstSeenMs.set(key, item.nowMs);
      marks.push({ space, key, source: item.source, timeMs: item.nowMs });
    },
  };
}
