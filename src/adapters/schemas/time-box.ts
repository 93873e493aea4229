import { type Context, createContext, Script } from 'node:vm';

const script = new Script('run()');
let context: Context | undefined;
let isInBox = false;

/**
 * Runs work that is stopped, wherever it is, once it has taken so much CPU time of this thread: it must change nothing
 * that outlives it. Time in which others have the core does not count, so that the answer does not depend on them.
 * Within a box it is that one's time that counts. A box costs a thread that watches, 0.2 ms.
 * @returns undefined where it was stopped
 */
export function boxed<T>(cpuMsMax: number, work: () => T): { readonly value: T } | undefined {
  if (isInBox) return { value: work() };
  context ??= createContext({}, { codeGeneration: { strings: false, wasm: false } });
  let value: T;
  context['run'] = () => {
    value = work();
  };
  // Ends: with each turn it has twice the time, and so comes to end or to its share of the core.
  for (let timeout = 2 * cpuMsMax; ; timeout *= 2) {
    const startedMs = threadCpuMs();
    isInBox = true;
    try {
      script.runInContext(context, { timeout });
      return { value: value! };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      if (threadCpuMs() - startedMs >= cpuMsMax) return undefined;
    } finally {
      isInBox = false;
    }
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
