import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { pause } from './pause.ts';

const LOOK_MS = 50;
const LAST_LINES = 12;

/** How long and at what to look. */
export interface Readiness {
  /** The processes that must go on running meanwhile. */
  readonly processes: readonly string[];
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Asks until the answer is right and returns it: a server is ready when it has answered a request, not when its
 * port opens. `ask` throws while it is not. Throws ERR_NOT_READY with the last lines of the server's log where it
 * ends meanwhile, or time runs out, ERR_STORE_AUTH at once (a login that is refused is refused again), and
 * ERR_RUN_CANCELLED where the signal is aborted.
 */
export async function untilAnswered<T>(host: Host, wait: Readiness, ask: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + wait.deadlineMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ERR_STORE_AUTH') throw error;
      await checkRunning(host, wait.processes, error);
      if (performance.now() >= endMs) {
        const why = error instanceof MillraceError ? error.why : String(error);
        const [name = ''] = wait.processes;
        throw await notReady(host, name, `did not answer within ${wait.deadlineMs / 1000} s (${why})`, error);
      }
      // Between two requests only: what is waited for is the answer.
      await pause(LOOK_MS, wait.signal);
    }
  }
}

async function checkRunning(host: Host, processes: readonly string[], cause: unknown): Promise<void> {
  for (const name of processes) {
    const { state, detail } = await host.process(name);
    if (state !== 'running') throw await notReady(host, name, `does not run: ${detail || state}`, cause);
  }
}

async function notReady(host: Host, name: string, what: string, cause: unknown): Promise<MillraceError> {
  const lines = await host.lastLines(name, LAST_LINES);
  const said = lines.length === 0 ? '' : `; it said last:\n    ${lines.join('\n    ')}`;
  return new MillraceError('ERR_NOT_READY', `${name} ${what}${said}`, { cause });
}
