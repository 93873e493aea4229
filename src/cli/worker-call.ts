import type { MessagePort, Worker } from 'node:worker_threads';
import { type ErrorCode, MillraceError } from '../core/errors.ts';

/** What a thread answers calls with, by name. Arguments and answers are copied between the threads. */
export type CallHandlers = Readonly<Record<string, (...args: never[]) => unknown>>;

/** Calls into another thread: each handler's name, with its answer as a promise. */
export type Calls<H extends CallHandlers> = {
  readonly [K in keyof H]: (...args: Parameters<H[K]>) => Promise<Awaited<ReturnType<H[K]>>>;
};

interface Request {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

/** An error on its way to another thread or process. */
export interface Failure {
  readonly code: ErrorCode | null;
  readonly why: string;
  readonly remedy: string;
}

type Response = { readonly id: number } & ({ readonly value: unknown } | { readonly failure: Failure });

/** What calls and answers go through: the port of a thread, or the channel between two processes. */
export interface CallPort {
  listen(listener: (message: unknown) => void): void;
  post(message: unknown): void;
}

/** The port of a thread, as both of its ends have it. */
export function threadPort(port: MessagePort | Worker): CallPort {
  return {
    // Both have it, typed apart.
    listen: listener => (port as Worker).on('message', listener),
    post: message => port.postMessage(message),
  };
}

/** Answers calls that come over a port. */
export function answerCalls(port: CallPort, handlers: CallHandlers): void {
  port.listen(async message => {
    port.post(await respond(handlers, message as Request));
  });
}

/**
 * Calls the handlers at the other end of a port; `abandon` rejects what waits for an answer that will not come.
 */
export function connectCalls<H extends CallHandlers>(port: CallPort) {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  port.listen(message => {
    const response = message as Response;
    const call = waiting.get(response.id);
    // Also what is no response, as the word that the thread is ready.
    if (call === undefined) return;
    waiting.delete(response.id);
    if ('failure' in response) call.reject(toError(response.failure));
    else call.resolve(response.value);
  });
  const calls = new Proxy({} as Calls<H>, {
    get: (_, name: string) => {
      // An object with a `then` would be taken for a promise where it is returned from an async function.
      if (name === 'then') return undefined;
      return (...args: readonly unknown[]) => {
        const call = Promise.withResolvers<unknown>();
        lastId += 1;
        waiting.set(lastId, call);
        port.post({ id: lastId, name, args } satisfies Request);
        return call.promise;
      };
    },
  });
  return {
    calls,
    abandon(reason: Error) {
      for (const call of waiting.values()) call.reject(reason);
      waiting.clear();
    },
  };
}

async function respond(handlers: CallHandlers, request: Request): Promise<Response> {
  try {
    const handler = handlers[request.name] as ((...args: readonly unknown[]) => unknown) | undefined;
    if (handler === undefined) throw new Error(`no handler named ${request.name}`);
    return { id: request.id, value: await handler(...request.args) };
  } catch (error) {
    return { id: request.id, failure: toFailure(error) };
  }
}

/** What {@link toError} makes an error of again. */
export function toFailure(error: unknown): Failure {
  if (error instanceof MillraceError) return { code: error.code, why: error.why, remedy: error.remedy };
  return {
    code: null,
    why: error instanceof Error ? (error.stack ?? error.message) : String(error),
    remedy: '',
  };
}

/** The error as it was thrown, but for its cause; what had no code keeps its stack as its message. */
export function toError({ code, why, remedy }: Failure): Error {
  return code === null ? new Error(why) : new MillraceError(code, why, { remedy });
}
