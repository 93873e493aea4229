import type { LogRecord, Position } from '../../core/record.ts';
import { OpenRange } from './open-range.ts';

/** When a range is cut. */
export interface OpenLimits {
  /** Bytes of text at which a range is cut. */
  readonly objectBytes: number;
  /** Bytes held over all ranges, above which the largest is cut. */
  readonly openBytesMax: number;
  /** Age at which a range is cut. */
  readonly openMsMax: number;
}

/** Names a partition in maps. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}:${partition}`;
}

// Objects of one range: each is named in its intent, and each costs a sync.
const PARTS_MAX = 64;

/** The open range of each partition, and how far each was read. */
export class OpenRanges {
  readonly #limits: OpenLimits;
  readonly #open = new Map<string, OpenRange>();
  /** The offset that the next range of a partition begins at, or the open one ends at. */
  readonly #ends = new Map<string, number>();

  constructor(limits: OpenLimits) {
    this.#limits = limits;
  }

  /** Says where the next range of a partition begins. */
  begin(start: Position): void {
    this.#ends.set(partitionKey(start.topic, start.partition), start.offset);
  }

  /** Adds the next record of its partition. */
  add(record: LogRecord, nowMs: number): void {
    const key = partitionKey(record.topic, record.partition);
    let range = this.#open.get(key);
    if (range === undefined) {
      const { topic, partition } = record;
      range = new OpenRange({ topic, partition, offset: this.#ends.get(key) ?? record.offset }, nowMs);
      this.#open.set(key, range);
    }
    range.add(record);
    this.#ends.set(key, range.toOffset);
  }

  /** Takes out a range that is to be cut now; undefined where none is. */
  takeDue(nowMs: number): OpenRange | undefined {
    for (const range of this.#open.values()) {
      // A clock that was set back makes a range older than it should be, not younger for years.
      const ageMs = nowMs - range.openedAtMs;
      const isOld = ageMs >= this.#limits.openMsMax || ageMs < 0;
      if (isOld || range.textBytes >= this.#limits.objectBytes || range.partCount >= PARTS_MAX) {
        return this.#take(range);
      }
    }
    return this.#heldBytes() > this.#limits.openBytesMax ? this.takeLargest() : undefined;
  }

  /** Takes out the range that holds the most; undefined where none is open. */
  takeLargest(): OpenRange | undefined {
    let largest: OpenRange | undefined;
    for (const range of this.#open.values()) {
      if (largest === undefined || range.heldBytes > largest.heldBytes) largest = range;
    }
    return largest === undefined ? undefined : this.#take(largest);
  }

  /** Whether every partition was read up to the given offset. */
  haveRead(ends: ReadonlyMap<string, number>): boolean {
    for (const [key, end] of ends) if ((this.#ends.get(key) ?? 0) < end) return false;
    return true;
  }

  #take(range: OpenRange): OpenRange {
    this.#open.delete(partitionKey(range.topic, range.partition));
    return range;
  }

  #heldBytes(): number {
    let sum = 0;
    for (const range of this.#open.values()) sum += range.heldBytes;
    return sum;
  }
}
