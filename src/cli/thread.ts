import { Worker } from 'node:worker_threads';
import { MillraceError } from '../core/errors.ts';
import { isErrorCode } from './error-code.ts';
import { type CallHandlers, type Calls, connectCalls, threadPort } from './worker-call.ts';
import type { ThreadSetup } from './worker-setup.ts';

const STOP_MS_MAX = 10_000;

/** A worker that answers calls: a thread, or a process. */
export interface Thread<H extends CallHandlers> {
  readonly calls: Calls<H>;
  /** Rejects when the thread fails; never resolves. */
  readonly failed: Promise<never>;
  /** Lets it finish what it has in hand, for at most 10 s. */
  stop(): Promise<void>;
}

/** Starts a thread; resolves when it has said that it is ready, rejects with what kept it from it. */
export async function startThread<H extends CallHandlers>(setup: ThreadSetup): Promise<Thread<H>> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: setup,
    transferList: [setup.log.port as never],
  });
  const { calls, abandon } = connectCalls<H>(threadPort(worker));
  const failure = Promise.withResolvers<never>();
  const ready = Promise.withResolvers<void>();
  let isStopping = false;
  failure.promise.catch(() => {});
  worker.on('message', message => {
    if (message === 'ready') ready.resolve();
  });
  const fail = (error: Error) => {
    ready.reject(error);
    failure.reject(error);
    abandon(error);
  };
  worker.on('error', error => fail(withClass(error)));
  worker.on('exit', code => {
    if (!isStopping) fail(new Error(`the ${setup.role} thread ended by itself with ${code}`));
  });
  await ready.promise;
  return {
    calls,
    failed: failure.promise,
    async stop() {
      isStopping = true;
      const deadline = Promise.withResolvers<void>();
      const timer = setTimeout(deadline.resolve, STOP_MS_MAX);
      const stop = (calls as Calls<{ stop: () => void }>).stop();
      try {
        await Promise.race([stop, failure.promise, deadline.promise]);
      } finally {
        clearTimeout(timer);
        await worker.terminate();
      }
    },
  };
}

/** An error of the product loses its class between threads, and keeps its members. */
function withClass(error: Error): Error {
  if (!('code' in error && 'why' in error && 'remedy' in error)) return error;
  const code = String(error.code);
  if (!isErrorCode(code)) return error;
  return new MillraceError(code, String(error.why), { cause: error, remedy: String(error.remedy) });
}
