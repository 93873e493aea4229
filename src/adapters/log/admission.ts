import { statfsSync } from 'node:fs';
import { MillraceError } from '../../core/errors.ts';
import type { ConsumerGroups } from './consumer-groups.ts';
import type { Retention } from './retention.ts';

/** How old an answer may be, ms; and how old the look at the disk, ms. */
const ANSWER_MS_MAX = 100;
const DISK_MS_MAX = 250;

/** What admission is made with. */
export interface AdmissionOptions {
  readonly directory: string;
  readonly groups: ConsumerGroups;
  readonly retention: Retention;
  readonly behindBytesMax: number;
  readonly freeBytesMin: number;
}

/**
 * Says whether more may be accepted from outside. The jobs' own commits do not ask: only they can shorten what
 * is behind. Ages go by the monotonic clock.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  #answer: MillraceError | null = null;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #freeBytes = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Null, ERR_DISK_FULL or ERR_LOG_BEHIND. */
  check(): MillraceError | null {
    const nowMs = performance.now();
    if (nowMs - this.#answeredAtMs >= ANSWER_MS_MAX) {
      this.#answer = this.#diskFull(nowMs) ?? this.#behind();
      this.#answeredAtMs = nowMs;
    }
    return this.#answer;
  }

  #diskFull(nowMs: number): MillraceError | null {
    const { directory, freeBytesMin } = this.#options;
    if (nowMs - this.#lookedAtMs >= DISK_MS_MAX) {
      const { bavail, bsize } = statfsSync(directory);
      this.#freeBytes = bavail * bsize;
      this.#lookedAtMs = nowMs;
    }
    if (this.#freeBytes >= freeBytesMin) return null;
    const why = `${directory}: ${this.#freeBytes} bytes are free, log.freeBytesMin is ${freeBytesMin}`;
    return new MillraceError('ERR_DISK_FULL', why);
  }

  #behind(): MillraceError | null {
    const { groups, retention, behindBytesMax } = this.#options;
    const slowest = groups.slowest();
    if (slowest !== null && slowest.bytes > behindBytesMax) {
      const why = `group ${slowest.group} is ${slowest.bytes} bytes behind, log.behindBytesMax is ${behindBytesMax}`;
      return new MillraceError('ERR_LOG_BEHIND', why);
    }
    const blocker = retention.blockedBy();
    if (blocker === null) return null;
    return new MillraceError(
      'ERR_LOG_BEHIND',
      `the log is past log.retentionBytes and ${blocker} needs its oldest segment`,
    );
  }
}
