import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { openRedisState, type RedisState } from '../../src/adapters/state/redis-state.ts';
import type { Sighting } from '../../src/core/ports.ts';
import { sightingWith } from '../../src/core/sighting.ts';
import { startRedis, type TestRedis, withoutRedis } from '../servers/redis.ts';
import { markAt, TTL_MS } from './contract.ts';
import { ask, openState, stateOptions } from './open-redis.ts';
import { type ModelVerdict, SharedModel, type Step } from './shared-model.ts';

const T0_MS = 1_718_000_000_000;
const PARTITIONS = 3;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

const steps = (sizeMax: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      who: fc.nat(1),
      kind: fc.oneof(
        { weight: 8, arbitrary: fc.constant('work' as const) },
        { weight: 1, arbitrary: fc.constant('crash' as const) },
        { weight: 1, arbitrary: fc.constant('hand over' as const) },
      ),
      partition: fc.nat(PARTITIONS - 1),
      size: fc.integer({ min: 1, max: sizeMax }),
    }),
    { maxLength: 60 },
  );

/** One time to live: events that are all less than it apart. */
const span = fc.record({
  events: fc.array(
    fc.record({
      partition: fc.nat(PARTITIONS - 1),
      batch: fc.constantFrom(null, 'x', 'y'),
      key: fc.constantFrom('a', 'b', 'c'),
      afterMs: fc.nat(TTL_MS - 1),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  steps: steps(4),
});

describe(`marks shared by two processes (SEED=${SEED})`, { skip: withoutRedis }, () => {
  let redis: TestRedis;
  let stores: readonly RedisState[];
  before(async () => {
    redis = await startRedis();
    stores = await Promise.all([1, 2].map(() => openRedisState(stateOptions(redis))));
  });
  after(async () => {
    await Promise.all(stores.map(store => store.close()));
    await redis.stop();
  });

  it('let exactly one event of a key pass in a time to live, the same one after every replay', async () => {
    let conflicts = 0;
    const property = fc.asyncProperty(fc.array(span, { minLength: 1, maxLength: 3 }), async spans => {
      await ask(redis, ['flushall']);
      const model = new SharedModel(stores, PARTITIONS, TTL_MS);
      for (const [index, { events, steps }] of spans.entries()) {
        const placed = events.map(({ afterMs, ...event }) => {
          const timeMs = T0_MS + index * 2 * TTL_MS + afterMs;
          return { ...event, place: model.append({ ...event, timeMs }) };
        });
        await model.play(steps);
        await model.finish(3);
        const rest = placed.filter(({ place }) => model.verdicts.get(place) !== 'batch seen');
        assertOneEach(
          placed.filter(({ batch }) => batch !== null),
          'batch',
          rest,
        );
        assertOneEach(
          rest,
          'key',
          rest.filter(({ place }) => model.verdicts.get(place) === 'passed'),
        );
      }
      conflicts += model.conflicts;
    });
    await fc.assert(property, { seed: SEED, numRuns: 300 });
    assert.ok(conflicts > 50, `the processes hardly met: ${conflicts} conflicts`);
  });

  it('judge the events of one partition as if they came one by one, across times to live and any cut', async () => {
    const waitMs = fc.constantFrom(0, 1, TTL_MS / 4 - 1, TTL_MS / 4);
    const event = fc.record({ key: fc.constantFrom('a', 'b'), waitMs });
    const batch = fc.record({ size: fc.integer({ min: 1, max: 3 }), isLost: fc.boolean() });
    const property = fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 40 }),
      fc.array(batch, { maxLength: 40 }),
      async (events, batches) => {
        await ask(redis, ['flushall']);
        const model = new SharedModel(stores, 1, TTL_MS);
        const passedAtMs = new Map<string, number>();
        const expected = new Map<string, ModelVerdict>();
        let timeMs = T0_MS;
        for (const { key, waitMs } of events) {
          timeMs += waitMs;
          const passes = timeMs >= (passedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + TTL_MS;
          if (passes) passedAtMs.set(key, timeMs);
          expected.set(
            model.append({ partition: 0, batch: null, key, timeMs }),
            passes ? 'passed' : 'key seen',
          );
        }
        for (const { size, isLost } of batches) {
          const work = { who: 0, kind: 'work', partition: 0, size } as const;
          // Looks, looks, marks; then it commits or dies.
          await model.play([work, work, work, isLost ? { ...work, kind: 'crash' } : work]);
          if (!isLost) await model.play([work]);
        }
        await model.finish(3);
        assert.deepEqual(model.verdicts, expected);
      },
    );
    await fc.assert(property, { seed: SEED, numRuns: 200 });
  });
});

describe(`a mark that is on its way (SEED=${SEED})`, { skip: withoutRedis }, () => {
  it('shows as it will show once it is set', async t => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const store = await openState(t, redis);
    const mark = fc.record({ partition: fc.nat(1), offset: fc.nat(5), after: fc.nat(8) });
    let conflicts = 0;
    const property = fc.asyncProperty(fc.array(mark, { minLength: 1, maxLength: 8 }), async marks => {
      await ask(redis, ['flushall']);
      let expected: Sighting | undefined;
      for (const { partition, offset, after } of marks) {
        const timeMs = T0_MS + (after * TTL_MS) / 4;
        const at = markAt('a', offset, timeMs);
        const set = { ...at, source: { ...at.source, partition } };
        expected = sightingWith(expected, set, TTL_MS);
        if ((await store.mark([set])) === 'conflict') conflicts += 1;
        assert.deepEqual(await store.seen([set]), [expected]);
      }
    });
    await fc.assert(property, { seed: SEED, numRuns: 300 });
    assert.ok(conflicts > 50, `hardly a mark met another: ${conflicts} conflicts`);
  });
});

interface Placed {
  readonly place: string;
  readonly batch: string | null;
  readonly key: string;
}

/** Of all the events of each batch (or key), exactly one is among the left ones. */
function assertOneEach(events: readonly Placed[], by: 'batch' | 'key', left: readonly Placed[]): void {
  for (const name of new Set(events.map(event => event[by]))) {
    const places = left.filter(event => event[by] === name).map(({ place }) => place);
    assert.equal(places.length, 1, `${by} ${name}: ${places.join(' and ') || 'none'} passed`);
  }
}
