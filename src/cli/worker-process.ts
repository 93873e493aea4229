import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../core/errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Thread } from './thread.ts';
import {
  type CallHandlers,
  type CallPort,
  type Calls,
  connectCalls,
  type Failure,
  toError,
} from './worker-call.ts';
import type { ProcessSetup } from './worker-setup.ts';

const STOP_MS_MAX = 10_000;
const AGAIN_MS_MIN = 100;
const AGAIN_MS_MAX = 5_000;
/** One that ran this long had come up well: the next start is not put off. */
const STEADY_MS = 10_000;
/** So many in a row that end early by a fault of ours are no accident. */
const BUGS_MAX = 5;

/** A worker's process that has said it is ready. */
interface Running<H extends CallHandlers> {
  readonly calls: Calls<H>;
  /** Resolves with why it ended. */
  readonly ended: Promise<Error>;
  /** Lets it finish what it has in hand, for at most 10 s, then ends it. */
  stop(): Promise<void>;
}

/**
 * Starts a worker as a process of its own and keeps one running: it leaves by itself where another one took its
 * place on the log or a commit failed halfway, and is started again. Resolves when the first one is ready,
 * rejects with what kept it from it. `failed` rejects where starting it again cannot help.
 */
export async function startProcess<H extends CallHandlers>(
  setup: ProcessSetup,
  logger: Logger,
): Promise<Thread<H>> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const stopping = new AbortController();
  let current: Running<H> | undefined = await launch<H>(setup);

  /** Waits for the end of the one that runs, or of the next one. */
  async function untilEnd(): Promise<Error> {
    try {
      current ??= await launch<H>({ ...setup, changesLayout: false });
      if (stopping.signal.aborted) await current.stop();
      return await current.ended;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      current = undefined;
    }
  }

  async function keepRunning(): Promise<void> {
    let [delayMs, bugs] = [AGAIN_MS_MIN, 0];
    // Ends when it is stopped, or with a fault that starting again does not mend.
    while (!stopping.signal.aborted) {
      const startedMs = performance.now();
      const why = await untilEnd();
      if (stopping.signal.aborted) return;
      if (performance.now() - startedMs > STEADY_MS) [delayMs, bugs] = [AGAIN_MS_MIN, 0];
      const isNamed = why instanceof MillraceError;
      bugs = isNamed ? 0 : bugs + 1;
      if (bugs >= BUGS_MAX || (isNamed && why.kind !== 'unavailable')) return failure.reject(why);
      const reason = isNamed ? `${why.code}: ${why.why}` : (why.stack ?? why.message);
      logger.warn({ role: setup.role, instance: setup.instance, reason, delayMs }, 'worker starts again');
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      delayMs = Math.min(delayMs * 2, AGAIN_MS_MAX);
    }
  }

  const keeping = keepRunning();
  const down = () =>
    Promise.reject(new MillraceError('ERR_NOT_READY', `the ${setup.role} process starts again`));
  return {
    calls: new Proxy({} as Calls<H>, {
      get: (_, name: string) => (name === 'then' ? undefined : (current?.calls[name] ?? down)),
    }),
    failed: failure.promise,
    async stop() {
      stopping.abort();
      await current?.stop();
      await keeping;
    },
  };
}

/**
 * Where chunks wait for Redis, a good part of V8's space for new objects lives on when it is full, and is copied: with
 * 32 MiB half as often as with the 16 of `bin/node`.
 */
const CHAIN_FLAGS = ['--max-semi-space-size=32'];

/** Starts the process; resolves when it is ready, rejects with what it says, or how it ended, before that. */
async function launch<H extends CallHandlers>(setup: ProcessSetup): Promise<Running<H>> {
  const child = fork(new URL('./worker.ts', import.meta.url), {
    execArgv: [...process.execArgv, ...(setup.role === 'chain' ? CHAIN_FLAGS : [])],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const { calls, abandon } = connectCalls<H>(portOf(child));
  const ready = Promise.withResolvers<void>();
  const end = Promise.withResolvers<Error>();
  let said: Error | undefined;
  child.on('message', (message: 'ready' | { readonly failed?: Failure }) => {
    if (message === 'ready') ready.resolve();
    else if (message.failed !== undefined) said = toError(message.failed);
  });
  const finish = (error: Error): void => {
    end.resolve(error);
    ready.reject(error);
    abandon(error);
  };
  child.once('error', finish);
  child.once('exit', (code, signal) =>
    finish(said ?? new Error(`the ${setup.role} process ended by itself with ${code ?? signal}`)),
  );
  child.send(setup, error => {
    // It ended before it could be told anything: its exit says so.
    if (error !== null) child.kill('SIGKILL');
  });
  await ready.promise;
  return {
    calls,
    ended: end.promise,
    async stop() {
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      // Its answer may be cut off by its end; the end is what is waited for.
      (calls as Calls<{ stop: () => void }>).stop().then(
        () => child.disconnect(),
        () => {},
      );
      await end.promise;
      clearTimeout(timer);
    },
  };
}

function portOf(child: ChildProcess): CallPort {
  return {
    listen: listener => child.on('message', listener),
    // What cannot be sent any more is answered by the end of the process.
    post: message => child.send(message as never, () => {}),
  };
}

/** The child's end: its setup, and the port to its parent, with whose end it ends. */
export async function joinParent(): Promise<{ readonly port: CallPort; readonly setup: ProcessSetup }> {
  const { promise, resolve } = Promise.withResolvers<ProcessSetup>();
  process.once('message', resolve as (message: unknown) => void);
  process.once('disconnect', () => process.exit(0));
  // Ctrl-C reaches every process of the terminal; the parent says when it is time.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  return {
    setup: await promise,
    port: {
      listen: listener => process.on('message', listener),
      post: message => process.send?.(message),
    },
  };
}
