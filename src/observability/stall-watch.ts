import type { Standing } from './conservation.ts';

/** A group that has not moved in a partition for longer than it may, although records wait for it there. */
export interface Stall extends Standing {
  /** For how long it has not moved, ms. */
  readonly stillMs: number;
  /** Whether it stands still in every partition where records wait for it. */
  readonly isWhole: boolean;
}

/** Where a reader was first seen to stand, and when by the caller's clock. */
interface Seen {
  readonly offset: number;
  readonly sinceMs: number;
}

/**
 * Tells readers that stand still from those that are slow or have nothing to do. Knows only what it was shown: where
 * nobody looks, nothing stalls.
 */
export class StallWatch {
  readonly #limitMsOf: (group: string) => number;
  /** By group, topic and partition. */
  #seen: ReadonlyMap<string, Seen> = new Map();

  /** @param limitMsOf  how long a group may stand still, ms */
  constructor(limitMsOf: (group: string) => number) {
    this.#limitMsOf = limitMsOf;
  }

  /**
   * Those that stall, by what the log says now.
   * @param nowMs  by a clock that never goes back
   */
  look(standings: readonly Standing[], nowMs: number): readonly Stall[] {
    const seen = new Map<string, Seen>();
    const still: Omit<Stall, 'isWhole'>[] = [];
    const moving = new Set<string>();
    for (const standing of standings) {
      if (standing.waiting === 0) continue;
      const key = `${standing.group}:${standing.topic}:${standing.partition}`;
      const before = this.#seen.get(key);
      const since = before?.offset === standing.offset ? before.sinceMs : nowMs;
      seen.set(key, { offset: standing.offset, sinceMs: since });
      const stillMs = nowMs - since;
      if (stillMs >= this.#limitMsOf(standing.group)) still.push({ ...standing, stillMs });
      else moving.add(standing.group);
    }
    this.#seen = seen;
    return still.map(stall => ({ ...stall, isWhole: !moving.has(stall.group) }));
  }
}
