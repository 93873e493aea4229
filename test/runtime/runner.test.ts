import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { composeJobs } from '../../src/cli/compose-jobs.ts';
import { type Config, OPTIONS } from '../../src/config/options.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { StateStore } from '../../src/core/ports.ts';
import { fullTopic, TOPICS } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { nextBatchBytes, type RunnerOptions, startRunner } from '../../src/runtime/runner.ts';
import { planLayout } from '../../src/runtime/segments.ts';

const ENVIRONMENT = 'test';
const MIB = 1024 * 1024;
const CONFIG = Object.fromEntries(
  Object.entries(OPTIONS).map(([key, { fallback }]) => [key, fallback]),
) as unknown as Config;

const TTL_MS = 3_600_000;
/** Every record is a chunk, and several are in the jobs at once. */
const SEVERAL = {
  limits: { recordsMax: 100, bytesMax: 1_000_000 },
  chunkBytes: 1,
  chunksMax: 3,
};

/** Look-ups and marks, of first and later chunks, and two in a row. */
const FAILING_CALLS = [2, 7, 8, 13, 19];

function openLog() {
  return openMemoryLog(
    Object.keys(TOPICS).map(name => ({ topic: fullTopic(ENVIRONMENT, name), partitions: 1 })),
  );
}

/** Runs batches of one msgid, each in a poll of its own, on a state; answers how many were duplicates. */
async function countDuplicates(
  state: StateStore,
  batches: number,
  more: Partial<RunnerOptions> = {},
  log = openLog(),
): Promise<number | undefined> {
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
    ttlMs: TTL_MS,
    limits: { recordsMax: 1, bytesMax: 1_000_000 },
    logger: createLogger('silent', 'test'),
    endsCaughtUp: true,
    pause: async () => {},
    ...more,
  });
  await runner.done;
  return (await log.describe()).counters['extract.duplicate_event_count'];
}

describe('nextBatchBytes', () => {
  it('is what passes in a second, at least 1 MiB, and never more than it may be', () => {
    assert.equal(nextBatchBytes(8 * MIB, 3 * MIB, 1_000), 3 * MIB);
    assert.equal(nextBatchBytes(8 * MIB, MIB, 100), 8 * MIB);
    assert.equal(nextBatchBytes(8 * MIB, 8 * MIB, 20_000), MIB);
    assert.equal(nextBatchBytes(8 * MIB, 0, 0), MIB);
    assert.equal(nextBatchBytes(4_096, MIB, 100), 4_096);
  });
});

describe('startRunner', () => {
  it('polls no more than it processes in a second', async () => {
    const log = openLog();
    const polled: number[] = [];
    const watched: RunnerOptions['log'] = {
      partitionCount: topic => log.partitionCount(topic),
      commit: commit => log.commit(commit),
      read: (...place) => log.read(...place),
      describe: () => log.describe(),
      close: () => log.close(),
      async consume(...asked) {
        const consumer = await log.consume(...asked);
        return {
          poll(limit) {
            polled.push(limit.bytesMax);
            return consumer.poll(limit);
          },
          isCaughtUp: () => consumer.isCaughtUp(),
          close: () => consumer.close(),
        };
      },
    };
    const state = createMemoryState(TTL_MS);
    const mark: StateStore['mark'] = async marks => {
      await sleep(200);
      return state.mark(marks);
    };
    const limits = { recordsMax: 1, bytesMax: 8 * MIB };
    const batches = 3;
    await countDuplicates({ ...state, mark }, batches, { limits, log: watched }, log);
    assert.ok(polled.length >= batches);
    assert.deepEqual([...new Set(polled)], [MIB]);
  });

  it('looks at a batch only when the marks of the one before can be seen', async () => {
    const state = createMemoryState(TTL_MS);
    const mark: StateStore['mark'] = async marks => {
      await sleep(5);
      return state.mark(marks);
    };
    assert.equal(await countDuplicates({ ...state, mark }, 4), 3);
  });

  it('waits for a state store that is away', async () => {
    const state = createMemoryState(TTL_MS);
    let calls = 0;
    const mark: StateStore['mark'] = async marks => {
      calls += 1;
      if (calls % 3 !== 0) throw new MillraceError('ERR_STORE_UNAVAILABLE', 'away');
      return state.mark(marks);
    };
    assert.equal(await countDuplicates({ ...state, mark }, 4), 3);
  });

  it('shows the chunks of a batch that are in the jobs at once the marks of those before', async () => {
    const state = createMemoryState(TTL_MS);
    let [looking, lookingMax] = [0, 0];
    let [marking, isAhead] = [false, false];
    const seen: StateStore['seen'] = async keys => {
      looking += 1;
      lookingMax = Math.max(lookingMax, looking);
      isAhead ||= marking;
      const sightings = await state.seen(keys);
      await setImmediate();
      looking -= 1;
      return sightings;
    };
    const mark: StateStore['mark'] = async marks => {
      assert.ok(!marking, 'marks are handed over one chunk after another');
      marking = true;
      await sleep(5);
      marking = false;
      return state.mark(marks);
    };
    assert.equal(await countDuplicates({ ...state, seen, mark }, 8, SEVERAL), 7);
    assert.ok(isAhead, 'a chunk is looked at while the marks of the one before are set');
    assert.equal(lookingMax, 1, 'each job looks at one chunk at a time');
  });

  it('looks again at every chunk from one whose key another process has marked', async () => {
    const state = createMemoryState(TTL_MS);
    const other = { topic: fullTopic(ENVIRONMENT, 'telemetry.ingest'), partition: 1, offset: 0, index: 0 };
    let conflicts = 0;
    const mark: StateStore['mark'] = async marks => {
      if (marks.length === 0 || conflicts > 0) return state.mark(marks);
      conflicts += 1;
      await state.mark([{ ...marks[0]!, source: other }]);
      return 'conflict';
    };
    assert.equal(await countDuplicates({ ...state, mark }, 8, SEVERAL), 8, 'the first one too');
    assert.equal(conflicts, 1);
  });

  it('waits for a store that is away while chunks are in the jobs', async () => {
    const state = createMemoryState(TTL_MS);
    let calls = 0;
    const failing = <T>(call: () => Promise<T>): Promise<T> => {
      calls += 1;
      if (FAILING_CALLS.includes(calls)) throw new MillraceError('ERR_STORE_UNAVAILABLE', 'away');
      return call();
    };
    const away: StateStore = {
      ...state,
      seen: async keys => failing(() => state.seen(keys)),
      mark: async marks => failing(() => state.mark(marks)),
    };
    assert.equal(await countDuplicates(away, 8, SEVERAL), 7);
    assert.ok(calls > FAILING_CALLS.at(-1)!, `all failed that should: ${calls} calls`);
  });
});
