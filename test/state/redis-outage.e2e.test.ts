import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { composeJobs } from '../../src/cli/compose-jobs.ts';
import { type Config, OPTIONS } from '../../src/config/options.ts';
import type { StateStore } from '../../src/core/ports.ts';
import { fullTopic, TOPICS } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { startRunner } from '../../src/runtime/runner.ts';
import { planLayout } from '../../src/runtime/segments.ts';
import { startRedis, withoutRedis } from '../servers/redis.ts';
import { ask, openState } from './open-redis.ts';

const ENVIRONMENT = 'test';
const CONFIG = Object.fromEntries(
  Object.entries(OPTIONS).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Config;
const MSGIDS = 100;
const COPIES = 4;

/** A log with batches that come several times each, in turn. */
async function filledLog() {
  const log = openMemoryLog(
    Object.keys(TOPICS).map(name => ({ topic: fullTopic(ENVIRONMENT, name), partitions: 1 })),
  );
  const records = Array.from({ length: MSGIDS * COPIES }, (_, n) => ({
    key: null,
    timeMs: 1_718_000_000_000 + n,
    headers: {},
    value: Buffer.from(JSON.stringify({ params: { msgid: `m${n % MSGIDS}` }, events: [] })),
  }));
  await log.commit({
    appends: [{ topic: fullTopic(ENVIRONMENT, 'telemetry.ingest'), partition: 0, records }],
  });
  return log;
}

async function runChain(log: ReturnType<typeof openMemoryLog>, state: StateStore): Promise<void> {
  const layout = planLayout(await composeJobs(CONFIG), [], 'edges');
  const runner = await startRunner({
    segment: layout.segments[0]!,
    isStored: layout.isStored,
    environment: ENVIRONMENT,
    log,
    state,
    cache: { get: async keys => keys.map(() => undefined) },
    ttlMs: CONFIG['dedup.ttlMs'],
    limits: { recordsMax: 3, bytesMax: 1_000_000 },
    logger: createLogger('silent', 'test'),
    endsCaughtUp: true,
  });
  await runner.done;
}

describe('an outage of Redis in the middle of a run', { skip: withoutRedis }, () => {
  it('pauses the jobs, which go on with every mark that was set', async t => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const state = await openState(t, redis, { ttlMs: 3_600_000 });
    let marked = 0;
    let kills: Promise<void> = Promise.resolve();
    const killed = async () => {
      await redis.kill('SIGKILL');
      await sleep(300);
      await redis.start();
    };
    const log = await filledLog();
    await runChain(log, {
      ...state,
      mark: (marks, isMore) => {
        marked += 1;
        // Once while the first copies come, once among the others; the call itself meets the outage, or just misses it.
        if (marked === 20 || marked === 90) kills = kills.then(killed);
        return state.mark(marks, isMore);
      },
    });
    await kills;
    const { counters } = await log.describe();
    assert.equal(counters['extract.duplicate_event_count'], MSGIDS * (COPIES - 1));
    assert.equal(counters['extract.unique_event_count'], MSGIDS);
    assert.ok(marked >= 90, 'both outages came in the middle');
  });

  it('pauses them where its memory is full, and loses and mislabels nothing', async t => {
    const redis = await startRedis({ config: { 'maxmemory-policy': 'noeviction' } });
    t.after(() => redis.stop());
    const state = await openState(t, redis, { ttlMs: 3_600_000 });
    const codes = new Set<string>();
    let marked = 0;
    const log = await filledLog();
    await runChain(log, {
      ...state,
      mark: async (marks, isMore) => {
        marked += 1;
        if (marked === 10) await ask(redis, ['config', 'set', 'maxmemory', '1']);
        try {
          return await state.mark(marks, isMore);
        } catch (error) {
          codes.add(String((error as { code?: string }).code));
          if (marked === 14) await ask(redis, ['config', 'set', 'maxmemory', '0']);
          throw error;
        }
      },
    });
    assert.deepEqual([...codes], ['ERR_STORE_FULL']);
    assert.equal((await log.describe()).counters['extract.duplicate_event_count'], MSGIDS * (COPIES - 1));
  });
});
