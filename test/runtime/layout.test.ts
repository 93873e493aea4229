import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { composeJobs } from '../../src/cli/compose-jobs.ts';
import { type Config, OPTIONS } from '../../src/config/options.ts';
import type { Job } from '../../src/core/job.ts';
import type { Log } from '../../src/core/ports.ts';
import { fullTopic, TOPICS } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { changeLayout } from '../../src/runtime/layout-change.ts';
import { startRunner } from '../../src/runtime/runner.ts';
import { type Layout, planLayout, type Segment } from '../../src/runtime/segments.ts';

const ENVIRONMENT = 'test';
const CONFIG = {
  ...Object.fromEntries(Object.entries(OPTIONS).map(([key, { fallback }]) => [key, fallback])),
  'dedup.producers': ['test.portal'],
} as unknown as Config;
const STATE_TTL_MS = 3_600_000;

function aBatch(id: string): Uint8Array {
  const event = (eid: string, edata: object) => ({
    eid,
    ets: Date.now(),
    ver: '3.0',
    mid: `${id}-${eid}`,
    actor: { id: 'u1', type: 'User' },
    context: { channel: 'c1', env: 'home', did: 'd1', pdata: { id: 'test.portal', ver: '1' } },
    edata,
  });
  const impression = event('IMPRESSION', { type: 'view', pageid: 'p', uri: '/p' });
  const events = [
    impression,
    impression,
    event('LOG', { type: 'api', level: 'INFO', message: 'm' }),
    event('ERROR', { err: 'e', errtype: 't', stacktrace: 's' }),
    event('ASSESS', { item: { id: 'q1' }, pass: 'Yes', score: 1, resvalues: [], duration: 1 }),
    event('SHARE', { items: [{ id: 'i', type: 't', ver: '1' }], dir: 'In', type: 'File' }),
    event('INTERRUPT', { type: 'background' }),
    event('INTERACT', { type: 'TOUCH' }),
  ];
  return Buffer.from(JSON.stringify({ params: { msgid: id }, events }));
}

/** A run of the pipeline in this process over one log; each `work` uses a layout and ends at the log's end. */
class Run {
  readonly log: Log = openMemoryLog(
    Object.keys(TOPICS).map(name => ({ topic: fullTopic(ENVIRONMENT, name), partitions: 1 })),
  );
  readonly state = createMemoryState(STATE_TTL_MS);
  readonly jobs: readonly Job[];

  constructor(jobs: readonly Job[]) {
    this.jobs = jobs;
  }

  async send(id: string): Promise<void> {
    const record = { key: null, timeMs: Date.now(), headers: {}, value: aBatch(id) };
    await this.log.commit({
      appends: [{ topic: fullTopic(ENVIRONMENT, 'telemetry.ingest'), partition: 0, records: [record] }],
    });
  }

  /**
   * Takes a layout on as the chain's thread does. `segmentsMax` leaves later segments unstarted, `drainsMax` ends
   * in the middle of the change: a crash there.
   */
  async work(
    split: readonly string[],
    store: string,
    { segmentsMax = 9, drainsMax = 9 }: { segmentsMax?: number; drainsMax?: number } = {},
  ): Promise<void> {
    const layout = planLayout(this.jobs, split, store);
    let drains = 0;
    const drain = async (segment: Segment, isStored: Layout['isStored']) => {
      if (drains++ >= drainsMax) throw new Error('crash');
      await this.#drain(segment, isStored);
    };
    try {
      await changeLayout({ log: this.log, layout, jobs: this.jobs, environment: ENVIRONMENT, drain });
    } catch (error) {
      if (error instanceof Error && error.message === 'crash') return;
      throw error;
    }
    for (const segment of layout.segments.slice(0, segmentsMax)) await this.#drain(segment, layout.isStored);
  }

  async counters(): Promise<Record<string, number>> {
    return { ...(await this.log.describe()).counters };
  }

  async records(name: string): Promise<number> {
    const { topics } = await this.log.describe();
    return topics.find(({ topic }) => topic === fullTopic(ENVIRONMENT, name))!.partitions[0]!.records;
  }

  async #drain(segment: Segment, isStored: Layout['isStored']): Promise<void> {
    const runner = await startRunner({
      segment,
      isStored,
      environment: ENVIRONMENT,
      log: this.log,
      state: this.state,
      cache: { get: async keys => keys.map(() => undefined) },
      ttlMs: CONFIG['dedup.ttlMs'],
      limits: { recordsMax: 3, bytesMax: 1_000_000 },
      logger: createLogger('error', 'test'),
      endsCaughtUp: true,
    });
    await runner.done;
  }
}

describe('planLayout', () => {
  let jobs: readonly Job[];
  before(async () => {
    jobs = await composeJobs(CONFIG);
  });

  const groupsOf = (split: readonly string[]) =>
    planLayout(jobs, split, 'edges').segments.map(({ group, inputs }) => [group, ...inputs]);

  it('runs everything fused by default, derived events apart', () => {
    assert.deepEqual(groupsOf([]), [
      ['chain.extract', 'telemetry.ingest'],
      ['chain.summarise-route', 'telemetry.derived'],
    ]);
  });

  it('cuts before the jobs that are named', () => {
    assert.deepEqual(groupsOf(['dedup', 'denormalise']).slice(1, 3), [
      ['chain.dedup', 'telemetry.valid'],
      ['chain.denormalise', 'telemetry.unique.primary', 'telemetry.unique.secondary', 'telemetry.error'],
    ]);
  });

  it('reads from the log what also comes from before the cut', () => {
    assert.deepEqual(groupsOf(['redact'])[1], [
      'chain.redact',
      'telemetry.assess.redact',
      'telemetry.raw',
      'telemetry.log',
    ]);
  });
});

describe('layouts', () => {
  let jobs: readonly Job[];
  let fused: Record<string, number>;
  before(async () => {
    jobs = await composeJobs(CONFIG);
    const run = new Run(jobs);
    for (const id of ['a', 'b', 'a', 'c']) await run.send(id);
    await run.work([], 'edges');
    fused = await run.counters();
  });

  it('counts something', () => {
    assert.deepEqual([fused['extract.received'], fused['topic.druid.events.telemetry']], [32, 12]);
  });

  const splits = [
    ['redact'],
    ['validate'],
    ['dedup'],
    ['flatten'],
    ['denormalise'],
    ['route'],
    ['dedup', 'denormalise'],
    ['redact', 'validate', 'dedup', 'flatten', 'denormalise', 'route'],
  ];
  for (const split of splits) {
    it(`give the same counts split at ${split.join(', ')}`, async () => {
      const run = new Run(jobs);
      for (const id of ['a', 'b', 'a', 'c']) await run.send(id);
      await run.work(split, 'edges');
      assert.deepEqual(await run.counters(), fused);
    });
  }

  it('give the same counts with every topic stored', async () => {
    const run = new Run(jobs);
    for (const id of ['a', 'b', 'a', 'c']) await run.send(id);
    await run.work([], 'all');
    assert.deepEqual(await run.counters(), fused);
    assert.equal(await run.records('telemetry.denorm'), fused['topic.telemetry.denorm']);
  });

  it('work off what a former split left behind, and nothing twice', async () => {
    const run = new Run(jobs);
    await run.send('a');
    await run.work(['dedup', 'denormalise'], 'edges', { segmentsMax: 1 });
    await run.send('b');
    await run.work(['dedup', 'denormalise'], 'edges', { segmentsMax: 2 });
    await run.send('a');
    await run.work([], 'all');
    await run.send('c');
    await run.work(['dedup'], 'edges');
    assert.deepEqual(await run.counters(), fused);
  });

  it('pass on what a topic still holds, whatever the layout before, after and where a change was cut off', async () => {
    const names = ['redact', 'validate', 'dedup', 'flatten', 'denormalise', 'route'];
    const split = fc.subarray(names);
    const store = fc.constantFrom('edges', 'all');
    const step = fc.record({
      split,
      store,
      segmentsMax: fc.nat({ max: 8 }),
      drainsMax: fc.oneof({ weight: 3, arbitrary: fc.constant(9) }, fc.nat({ max: 3 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.tuple(step, step, step, step), async steps => {
        const run = new Run(jobs);
        for (const [i, { split, store, ...limits }] of steps.entries()) {
          await run.send(['a', 'b', 'a', 'c'][i]!);
          await run.work(split, store, limits);
        }
        await run.work([], 'edges');
        assert.deepEqual(await run.counters(), fused);
      }),
      { numRuns: 60 },
    );
  });
});
