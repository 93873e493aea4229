import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Redis } from 'iovalkey';
import { openEmbeddedState } from '../src/adapters/state/embedded-state.ts';
import { openRedisState } from '../src/adapters/state/redis-state.ts';
import type { Mark } from '../src/core/job.ts';
import type { StateStore } from '../src/core/ports.ts';
import { startRedis, type TestRedis, withoutRedis } from '../test/servers/redis.ts';
import type { Figure } from './figure.ts';

/** Keys of one call: half a chunk of the chain on Redis, the events of a chunk, and those of a transaction on Kafka. */
const BATCH_KEYS = [340, 680, 10_200];
const KEYS = 51_000;
const EMBEDDED_KEYS = 510_000;
const NAIVE_KEYS = 10_000;
const HOUR_MS = 3_600_000;
const T0_MS = 1_718_000_000_000;

/**
 * Looking keys up and marking nine of ten, on one Redis: one command after the other for each event, as the
 * pipeline that this one stands in for does; in batches, as the adapter does; and in the embedded table.
 */
export async function run(): Promise<readonly Figure[]> {
  if (withoutRedis !== false) {
    process.stdout.write(`  skipped: ${withoutRedis}\n`);
    return [];
  }
  const redis = await startRedis();
  try {
    const naive = await naiveRate(redis);
    const figures: Figure[] = [{ name: 'EXISTS + SETEX for each key', value: naive, unit: '/s' }];
    for (const size of BATCH_KEYS) {
      const batched = await redisRate(redis, size);
      const embedded = await embeddedRate(size);
      figures.push(
        { name: `${size} keys a call: Redis`, value: batched.rate, unit: '/s' },
        { name: `${size}: Redis / EXISTS + SETEX`, value: batched.rate / naive, unit: 'ratio' },
        { name: `${size}: Redis memory per mark`, value: batched.bytes, unit: 'bytes' },
        { name: `${size}: embedded`, value: embedded, unit: '/s' },
        {
          name: `${size}: embedded / EXISTS + SETEX`,
          value: embedded / naive,
          unit: 'ratio',
          goal: { atLeast: 20 },
        },
      );
    }
    return figures;
  } finally {
    await redis.stop();
  }
}

async function naiveRate({ address }: TestRedis): Promise<number> {
  const client = new Redis({ port: address.port, db: 7 });
  let repeats = 0;
  const startedMs = performance.now();
  for (let n = 0; n < NAIVE_KEYS; n++) {
    const key = keyOf(n);
    if ((await client.exists(key)) === 1) repeats += 1;
    else await client.setex(key, HOUR_MS / 1000, '');
  }
  const rate = NAIVE_KEYS / ((performance.now() - startedMs) / 1000);
  client.disconnect();
  if (repeats !== NAIVE_KEYS / 10) throw new Error(`${repeats} repeats of ${NAIVE_KEYS}`);
  return rate;
}

async function redisRate({ address }: TestRedis, size: number) {
  const client = new Redis({ port: address.port });
  await client.flushall();
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  const emptyBytes = await usedBytes();
  const databases = { batch: 1, event: 7, route: 8, summary: 9 };
  const state = await openRedisState({ ...address, databases, ttlMs: HOUR_MS, graceMs: HOUR_MS });
  const rate = await rateOf(state, KEYS, size);
  const bytes = ((await usedBytes()) - emptyBytes) / (await state.count());
  await state.close();
  client.disconnect();
  return { rate, bytes };
}

async function embeddedRate(size: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const state = await openEmbeddedState({
    directory,
    ttlMs: HOUR_MS,
    marksFrom: async function* () {},
    keepFrom: () => {},
    warn: () => {},
  });
  try {
    return await rateOf(state, EMBEDDED_KEYS, size);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Keys looked up and marked a second, a batch after the other. */
async function rateOf(state: StateStore, keyCount: number, size: number): Promise<number> {
  const batches = Math.ceil(keyCount / size);
  const startedMs = performance.now();
  for (let batch = 0; batch < batches; batch++) {
    const keys = Array.from({ length: size }, (_, i) => keyOf(batch * size + i));
    const sightings = await state.seen(keys.map(key => ({ space: 'event', key })));
    // A key that comes again within its batch is met by the job, before the store is asked.
    const marks = new Map<string, Mark>();
    for (const [index, key] of keys.entries()) {
      const source = { topic: 'local.telemetry.ingest', partition: 0, offset: batch, index };
      if (sightings[index] === undefined && !marks.has(key))
        marks.set(key, { space: 'event', key, source, timeMs: T0_MS + batch });
    }
    if ((await state.mark([...marks.values()])) === 'conflict') throw new Error('a mark of another process');
    await state.committed(batch);
  }
  return (batches * size) / ((performance.now() - startedMs) / 1000);
}

/** Each tenth key is one that came before. */
function keyOf(n: number): string {
  return `IMPRESSION:0f0e192b3f457a4535ae80c6d496ea:${n % 10 === 9 ? n - 5 : n}`;
}
