/** Lets a few callers in at a time; the others wait in order of arrival. */
export interface Gate {
  /** Runs the work once there is a place; the outcome is the work's own. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** A gate for `concurrentMax` at once. Who waits is bounded by the caller: by connections, by memory granted. */
export function createGate(concurrentMax: number): Gate {
  let running = 0;
  const waiting: (() => void)[] = [];
  return {
    async run(work) {
      if (running >= concurrentMax) await new Promise<void>(resolve => waiting.push(resolve));
      else running++;
      try {
        return await work();
      } finally {
        // The one that leaves hands its place over, so `running` stays.
        const next = waiting.shift();
        if (next === undefined) running--;
        else next();
      }
    },
  };
}
