import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../core/errors.ts';

/** Waits between two looks at a server. Throws ERR_RUN_CANCELLED at once where the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { ...(signal && { signal }) });
  } catch (cause) {
    throw new MillraceError('ERR_RUN_CANCELLED', 'it ended while it waited for a server', { cause });
  }
}
