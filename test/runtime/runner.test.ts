import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { composeJobs } from '../../src/cli/compose-jobs.ts';
import { type Config, OPTIONS } from '../../src/config/options.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { StateStore } from '../../src/core/ports.ts';
import { fullTopic, TOPICS } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { startRunner } from '../../src/runtime/runner.ts';
import { planLayout } from '../../src/runtime/segments.ts';

const ENVIRONMENT = 'test';
const CONFIG = Object.fromEntries(
  Object.entries(OPTIONS).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Config;

/** Runs batches of one msgid, each in a poll of its own, on a state; answers how many were duplicates. */
async function countDuplicates(state: StateStore, batches: number): Promise<number | undefined> {
  const log = openMemoryLog(
    Object.keys(TOPICS).map(name => ({ topic: fullTopic(ENVIRONMENT, name), partitions: 1 })),
  );
  const value = Buffer.from(JSON.stringify({ params: { msgid: 'a' }, events: [] }));
  const record = { key: null, timeMs: 1_718_000_000_000, headers: {}, value };
  const records = Array.from({ length: batches }, () => record);
  await log.commit({
    appends: [{ topic: fullTopic(ENVIRONMENT, 'telemetry.ingest'), partition: 0, records }],
  });
  const layout = planLayout(await composeJobs(CONFIG), [], 'edges');
  const runner = await startRunner({
    segment: layout.segments[0]!,
    isStored: layout.isStored,
    environment: ENVIRONMENT,
    log,
    state,
    cache: { get: async keys => keys.map(() => undefined) },
    limits: { recordsMax: 1, bytesMax: 1_000_000 },
    logger: createLogger('silent', 'test'),
    endsCaughtUp: true,
    pause: async () => {},
  });
  await runner.done;
  return (await log.describe()).counters['extract.duplicate_event_count'];
}

describe('startRunner', () => {
  it('looks at a batch only when the marks of the one before can be seen', async () => {
    const state = createMemoryState(3_600_000);
    const mark: StateStore['mark'] = async marks => {
      await sleep(5);
      return state.mark(marks);
    };
    assert.equal(await countDuplicates({ ...state, mark }, 4), 3);
  });

  it('waits for a state store that is away', async () => {
    const state = createMemoryState(3_600_000);
    let calls = 0;
    const mark: StateStore['mark'] = async marks => {
      calls += 1;
      if (calls % 3 !== 0) throw new MillraceError('ERR_STORE_UNAVAILABLE', 'away');
      return state.mark(marks);
    };
    assert.equal(await countDuplicates({ ...state, mark }, 4), 3);
  });
});
