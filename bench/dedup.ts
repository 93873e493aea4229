import { performance } from 'node:perf_hooks';
import xxhash from 'xxhash-wasm';
import { MarkTables } from '../src/adapters/state/mark-tables.ts';
import type { Figure } from './figure.ts';

const KEYS = 5_000_000;
const HOUR_MS = 3_600_000;

/** The exact table of first sightings alone: look-up and, for nine of ten keys, marking, over an hour of marks. */
export async function run(): Promise<readonly Figure[]> {
  const { h64 } = await xxhash();
  const tables = new MarkTables(HOUR_MS);
  const digest = new Uint32Array(4);
  const words = new BigUint64Array(digest.buffer);
  let wrong = 0;
  const startedMs = performance.now();
  for (let n = 0; n < KEYS; n++) {
    const isRepeat = n % 10 === 9;
    const key = `event\0IMPRESSION:${isRepeat ? n - 5 : n}`;
    words[0] = h64(key, 1n);
    words[1] = h64(key, 2n);
    const nowMs = Math.floor((n / KEYS) * (HOUR_MS - 1));
    const expiresAtMs = tables.expiresAtMs(digest);
    const isSeen = expiresAtMs !== undefined && nowMs < expiresAtMs;
    if (isSeen !== isRepeat) wrong += 1;
    if (!isSeen) tables.mark(digest, nowMs);
  }
  const rate = KEYS / ((performance.now() - startedMs) / 1000);
  const bytes = tables.tables.reduce((sum, table) => sum + table.bytes().byteLength, 0);
  if (wrong > 0) throw new Error(`${wrong} wrong answers of ${KEYS}`);
  return [
    { name: 'keys looked up and marked', value: rate, unit: '/s', goal: { atLeast: 700_000 } },
    { name: 'memory per key', value: bytes / tables.count, unit: 'bytes', goal: { atMost: 40 } },
  ];
}
