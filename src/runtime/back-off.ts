import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../core/errors.ts';
import type { Logger } from '../observability/logger.ts';

const DELAY_MS_MIN = 50;
const DELAY_MS_MAX = 5_000;

/** Waits so many ms, or until the signal aborts; never rejects. */
export type Pause = (delayMs: number, signal: AbortSignal) => Promise<void>;

/** What a call is tried again with. */
export interface RetryOptions {
  readonly logger: Logger;
  /** {@link pauseMs} where absent. */
  readonly pause?: Pause;
}

/**
 * Calls until it succeeds or the signal aborts (undefined then). Only `unavailable` errors are tried again,
 * after a growing, jittered pause; there is no last try, because giving up would lose or mislabel events. Who was
 * fenced off never gets its place back: that error is thrown on.
 */
export async function retryUnavailable<T>(
  { logger, pause = pauseMs }: RetryOptions,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T | undefined> {
  let delayMs = DELAY_MS_MIN;
  // Ends with success, with an error that waiting does not mend, or with the signal.
  while (true) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof MillraceError) || error.kind !== 'unavailable') throw error;
      if (error.code === 'ERR_LOG_FENCED') throw error;
      if (signal.aborted) return undefined;
      logger.warn({ code: error.code, why: error.why, delayMs }, 'store unavailable, trying again');
      await pause(delayMs * (0.5 + Math.random() / 2), signal);
      delayMs = Math.min(delayMs * 2, DELAY_MS_MAX);
    }
  }
}

/** Waits by the machine's clock. */
export async function pauseMs(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}
