import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Inspection } from './inspect.ts';
import { lastLinesOf } from './last-lines.ts';

const LOOK_MS = 500;

/** A process that did not keep running. */
export interface EndedProcess {
  /** The operation that it is of. */
  readonly inspection: Inspection;
  /** ERR_VERIFY_FAILED with what it said last. */
  readonly error: MillraceError;
}

/**
 * Looks on for a time whether the processes of operations keep running: each must be the one that it was.
 * @returns the first that ended, or was replaced; undefined where none did, or `signal` was aborted
 */
export async function watchProcesses(
  watched: readonly Inspection[],
  { host, watchMs, signal }: { readonly host: Host; readonly watchMs: number; readonly signal: AbortSignal },
): Promise<EndedProcess | undefined> {
  const rows = watched.flatMap(inspection => inspection.look.processes.map(name => ({ inspection, name })));
  const pids = await Promise.all(rows.map(async ({ name }) => (await host.process(name)).pid));
  const deadlineMs = performance.now() + watchMs;
  while (performance.now() < deadlineMs && !signal.aborted) {
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    for (const [index, { inspection, name }] of rows.entries()) {
      const { pid, detail } = await host.process(name);
      if (pid !== null && pid === pids[index]) continue;
      const why = pid === null ? `${name} came up and ended: ${detail}` : `${name} is another process by now`;
      const error = new MillraceError('ERR_VERIFY_FAILED', `${why}${await lastLinesOf([name], host)}`);
      return { inspection, error };
    }
  }
  return undefined;
}
