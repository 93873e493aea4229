import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { openRedisState } from '../../src/adapters/state/redis-state.ts';
import type { Mark } from '../../src/core/job.ts';
import { startRedis, type TestRedis, withoutRedis } from '../servers/redis.ts';
import { markAt, TTL_MS, testState } from './contract.ts';
import { ask, MARK_DATABASES, openState, stateOptions } from './open-redis.ts';

const T0_MS = 1_718_000_000_000;
let redis: TestRedis;

before(async () => {
  if (withoutRedis === false) redis = await startRedis();
});
after(() => redis?.stop());
beforeEach(async () => {
  if (withoutRedis === false) await ask(redis, ['flushall']);
});

testState('redis', t => openState(t, redis), withoutRedis);

/** The same mark, set by an event of another partition. */
function elsewhere(mark: Mark): Mark {
  return { ...mark, source: { ...mark.source, partition: 1 } };
}

describe('openRedisState', { skip: withoutRedis }, () => {
  it('answers conflict where another process has marked the key, and sets none of the marks', async t => {
    const [one, two] = [await openState(t, redis), await openState(t, redis)];
    assert.equal(await one.mark([markAt('a', 0)]), null);
    const others = [markAt('b', 1), elsewhere(markAt('a', 9)), markAt('c', 2, T0_MS, 'route')];
    assert.equal(await two.mark(others), 'conflict');
    assert.deepEqual(await one.seen([others[0]!, others[2]!]), [undefined, undefined]);
    assert.deepEqual((await one.seen([markAt('a', 0)]))[0]?.source, markAt('a', 0).source);
  });

  it('lets a replayed event meet its own mark, whichever process replays it', async t => {
    const [one, two] = [await openState(t, redis), await openState(t, redis)];
    const marks = [markAt('a', 3), markAt('b', 4)];
    assert.equal(await one.mark(marks), null);
    assert.equal(await two.mark(marks), null);
    assert.equal(await two.mark([markAt('a', 2)]), null, 'its partition has an earlier one after all');
    assert.equal((await one.seen([markAt('a', 0)]))[0]?.source?.offset, 2);
    assert.equal(await one.mark([markAt('a', 3)]), 'conflict');
  });

  it('remembers the mark whose place one took', async t => {
    const state = await openState(t, redis);
    await state.mark([markAt('a', 0)]);
    await state.mark([elsewhere(markAt('a', 1, T0_MS + TTL_MS))]);
    await state.mark([markAt('a', 2, T0_MS + 2 * TTL_MS)]);
    const [sighting] = await state.seen([markAt('a', 0)]);
    assert.deepEqual(sighting, {
      source: markAt('a', 2).source,
      expiresAtMs: T0_MS + 3 * TTL_MS,
      before: { source: elsewhere(markAt('a', 1)).source, expiresAtMs: T0_MS + 2 * TTL_MS },
    });
    assert.equal(
      await state.mark([elsewhere(markAt('a', 1, T0_MS + TTL_MS))]),
      null,
      'a replay of the one before',
    );
    assert.deepEqual((await state.seen([markAt('a', 0)]))[0], sighting, 'which changes nothing');
  });

  it('takes the marks of the pipeline it stands in for: bare keys, its databases, empty values', async t => {
    const state = await openState(t, redis);
    const placed: [string, ...(string | number)[]][] = [];
    for (const database of Object.values(MARK_DATABASES)) {
      placed.push(['select', database], ['setex', `id-${database}`, 60, '']);
    }
    await ask(redis, ...placed);
    for (const [space, database] of Object.entries(MARK_DATABASES)) {
      const mark = markAt(`id-${database}`, 0, T0_MS, space as keyof typeof MARK_DATABASES);
      const elsewhereForEver = { source: null, expiresAtMs: Number.POSITIVE_INFINITY };
      assert.deepEqual(await state.seen([mark]), [elsewhereForEver]);
      assert.equal(await state.mark([mark]), 'conflict');
    }
  });

  it('leaves marks that it would find: a key, a time to live, a place and a time', async t => {
    const state = await openState(t, redis, { graceMs: 5_000 });
    await state.mark([markAt('a', 7), markAt('b', 8, T0_MS, 'batch')]);
    const [, value, lifeMs, , exists] = await ask(
      redis,
      ['select', 7],
      ['get', 'a'],
      ['pttl', 'a'],
      ['select', 1],
      ['exists', 'b'],
    );
    assert.equal(value, `local.telemetry.ingest:0:7:0 ${T0_MS}`);
    assert.ok(Number(lifeMs) > TTL_MS + 4_000 && Number(lifeMs) <= TTL_MS + 5_000, String(lifeMs));
    assert.equal(exists, 1);
    assert.equal(await state.count(), 2);
  });

  it('never overwrites what another program keeps under the key', async t => {
    const state = await openState(t, redis);
    await ask(redis, ['select', 7], ['hset', 'device', 'state', 'x']);
    await assert.rejects(state.mark([markAt('a', 0), markAt('device', 1)]), (error: { remedy?: string }) => {
      assert.match(String(error.remedy), /databases of their own/);
      return true;
    });
    const [, row, held] = await ask(redis, ['select', 7], ['hget', 'device', 'state'], ['get', 'a']);
    assert.deepEqual([row, held], ['x', null]);
  });

  it('refuses spaces that share a database', async () => {
    const databases = { ...MARK_DATABASES, route: MARK_DATABASES.event };
    await assert.rejects(openRedisState(stateOptions(redis, { databases })), { code: 'ERR_CONFIG_INVALID' });
  });

  it('goes on where Redis has forgotten its scripts', async t => {
    const state = await openState(t, redis);
    await state.mark([markAt('a', 0)]);
    await ask(redis, ['script', 'flush']);
    assert.equal(await state.mark([markAt('b', 1)]), null);
  });
});
