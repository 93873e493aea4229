import type { Config } from '../../config/options.ts';
import { MillraceError } from '../../core/errors.ts';

/** What queries may take. */
export type QueryLimits = Pick<
  Config,
  'query.timeoutMs' | 'query.rowsMax' | 'query.memoryBytesMax' | 'query.concurrentMax'
>;

const WAITING_MAX = 32;

/** A number of turns, handed out in the order of asking; 32 may wait. */
export class QueryTurns {
  readonly #waiting: { readonly go: () => void; readonly refuse: (error: MillraceError) => void }[] = [];
  #free: number;
  #isClosed = false;

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with a turn; throws ERR_QUERY_TIMEOUT once the signal aborts, and where too many wait. */
  async take(signal: AbortSignal): Promise<void> {
    if (this.#isClosed) throw new MillraceError('ERR_NOT_READY', 'queries have ended');
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw new MillraceError('ERR_STORE_UNAVAILABLE', `${WAITING_MAX} queries wait already`);
    }
    await new Promise<void>((go, refuse) => {
      const entry = { go, refuse };
      this.#waiting.push(entry);
      signal.addEventListener('abort', () => {
        const at = this.#waiting.indexOf(entry);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        refuse(new MillraceError('ERR_QUERY_TIMEOUT', 'other queries ran all the time'));
      });
    });
  }

  /** Hands the turn to whoever waits longest. */
  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next.go();
  }

  /** Refuses what waits and what comes. */
  close(): void {
    this.#isClosed = true;
    for (const { refuse } of this.#waiting.splice(0)) {
      refuse(new MillraceError('ERR_NOT_READY', 'queries have ended'));
    }
  }
}
