import type { StateStore } from '../../core/ports.ts';

/** First sightings in memory only: for trying jobs out and for tests. Exact; forgets nothing before its time. */
export function createMemoryState(ttlMs: number): StateStore {
  const expiresAtMs = new Map<string, number>();
  return {
    async seen(keys) {
      return keys.map(({ space, key }) => {
        const at = expiresAtMs.get(`${space}\0${key}`);
        return at === undefined ? undefined : { expiresAtMs: at, source: null };
      });
    },
    async mark(marks) {
      for (const { space, key, timeMs } of marks) expiresAtMs.set(`${space}\0${key}`, timeMs + ttlMs);
      return null;
    },
    async committed() {},
    async close() {},
  };
}
