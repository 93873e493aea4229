import { failpoint } from '../../observability/failpoint.ts';
import type { ConsumerGroups } from './consumer-groups.ts';
import { removeFile, segmentPath } from './journal-files.ts';
import type { LogIndex, SegmentSummary } from './log-index.ts';

/** What retention is made with. */
export interface RetentionOptions {
  readonly journal: string;
  readonly index: LogIndex;
  readonly groups: ConsumerGroups;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  nowMs(): number;
}

/**
 * Removes whole segments, oldest first, that are too old or too much, but none that a group has yet to pass or
 * that someone asked to keep. The active segment stays.
 */
export class Retention {
  readonly #options: RetentionOptions;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Who keeps the log larger than it may be; null where nothing does. */
  blockedBy(): string | null {
    const { index, retentionBytes } = this.#options;
    if (index.segments.length < 2 || index.bytes() <= retentionBytes) return null;
    return this.#heldBackBy(index.segments[0]!);
  }

  /** Removes what may go; resolves with how many segments went. Rejects where a file cannot be removed. */
  async apply(): Promise<number> {
    const { index, journal } = this.#options;
    let removed = 0;
    while (index.segments.length > 1) {
      const oldest = index.segments[0]!;
      if (!this.#isDue(oldest) || this.#heldBackBy(oldest) !== null) break;
      failpoint('log.beforeUnlink');
      await removeFile(journal, segmentPath(journal, oldest.base));
      failpoint('log.afterUnlink');
      // The checkpoint follows: until then a file that is gone counts as removed where all had passed it.
      index.segments.shift();
      removed += 1;
    }
    return removed;
  }

  #isDue(segment: SegmentSummary): boolean {
    const { index, retentionMs, retentionBytes, nowMs } = this.#options;
    return nowMs() - segment.lastTimeMs > retentionMs || index.bytes() > retentionBytes;
  }

  #heldBackBy(segment: SegmentSummary): string | null {
    for (const [name, address] of this.#options.index.pins) if (segment.end > address) return name;
    return this.#options.groups.heldBackBy(segment);
  }
}
