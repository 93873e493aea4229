import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { openRedisCache, type RedisCacheOptions } from '../../src/adapters/cache/redis-cache.ts';
import { openCacheOwner } from '../../src/adapters/cache/sqlite-cache.ts';
import type { JsonObject } from '../../src/core/event.ts';
import type { CacheKey, Dataset } from '../../src/core/job.ts';
import { contentDataOf, deviceDataOf, dialcodeDataOf, userDataOf } from '../../src/jobs/master-data.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { startRedis, type TestRedis, withoutRedis } from '../servers/redis.ts';
import { ask } from '../state/open-redis.ts';
import { LIMITS, testCache } from './cache-contract.ts';
import { scratch } from './setting.ts';

/** The databases of the pipeline that this one stands in for. */
const DATABASES = { device: 2, content: 5, dialcode: 6, user: 12 } as const;
let redis: TestRedis;

before(async () => {
  if (withoutRedis === false) redis = await startRedis();
});
after(() => redis?.stop());
beforeEach(async () => {
  if (withoutRedis === false) await ask(redis, ['flushall']);
});

async function open(t: TestContext, changes: Partial<RedisCacheOptions> = {}) {
  const logger = createLogger('silent', 'test');
  const cache = await openRedisCache({
    ...redis.address,
    databases: DATABASES,
    limits: LIMITS,
    logger,
    ...changes,
  });
  t.after(() => cache.close());
  return cache;
}

testCache(
  'redis',
  async (t, limits = LIMITS) => ({ owner: await open(t, { limits }), reader: await open(t, { limits }) }),
  withoutRedis,
);

const DEVICE: JsonObject = {
  country_code: 'IN',
  state: 'Punjab',
  state_code: '',
  devicespec: { os: 'Android 9', make: 'a "b"' },
  firstaccess: 1_587_283_462_495,
  city: null,
};
const USER: JsonObject = {
  usertype: 'teacher',
  subject: ['Maths', 'Science'],
  language: '["English"]',
  schoolname: 'Public \\[A\\]',
  profile: { a: [1] },
};

describe('openRedisCache', { skip: withoutRedis }, () => {
  it('reads what the original jobs wrote', async t => {
    await ask(
      redis,
      ['select', 2],
      ['hset', 'd1', 'state', 'Punjab', 'devicespec', '{"os":"Android 9"}', 'firstaccess', '1587283462495'],
      ['select', 12],
      [
        'hset',
        'user:u1',
        'usertype',
        'teacher',
        'subject',
        '["Maths"]',
        'schoolname',
        'A \\[B\\]',
        'grade',
        '',
      ],
      ['select', 5],
      ['set', 'do_1', '{"name":"Bird","gradeLevel":["Class 8"],"pkgVersion":2.0}'],
      ['select', 6],
      ['set', 'V4M5I6', '{"identifier":"V4M5I6","generated_on":"2018-09-03T11:09:38.850"}'],
    );
    const cache = await open(t);
    const [device, user, content, dialcode] = await cache.get([
      { dataset: 'device', key: 'd1' },
      { dataset: 'user', key: 'u1' },
      { dataset: 'content', key: 'do_1' },
      { dataset: 'dialcode', key: 'V4M5I6' },
    ]);
    const devicedata = deviceDataOf(device);
    assert.deepEqual(devicedata?.['devicespec'], { os: 'Android 9' });
    assert.equal(devicedata?.['firstaccess'], 1_587_283_462_495);
    const userdata = userDataOf(user);
    assert.deepEqual([userdata?.['subject'], userdata?.['schoolname']], [['Maths'], 'A [B]']);
    assert.equal(userdata?.['grade'], undefined);
    assert.deepEqual(contentDataOf(content), { name: 'Bird', gradelevel: ['Class 8'], pkgversion: 2 });
    assert.equal(dialcodeDataOf(dialcode)?.['generatedon'], 1_535_972_978_850);
  });

  it('writes what the original jobs read', async t => {
    const cache = await open(t);
    await cache.put('device', [{ key: 'd1', value: DEVICE }]);
    await cache.put('user', [{ key: 'u1', value: USER }]);
    await cache.put('content', [{ key: 'do_1', value: { name: 'Bird', gradeLevel: ['Class 8'] } }]);
    await cache.put('dialcode', [{ key: 'V4M5I6', value: { identifier: 'V4M5I6' } }]);
    const replies = await ask(
      redis,
      ['select', 2],
      ['hgetall', 'd1'],
      ['select', 12],
      ['hgetall', 'user:u1'],
      ['select', 5],
      ['get', 'do_1'],
      ['select', 6],
      ['get', 'V4M5I6'],
    );
    assert.deepEqual(
      [replies[1], replies[3], replies[5], replies[7]],
      [
        {
          country_code: 'IN',
          state: 'Punjab',
          state_code: '',
          devicespec: '{"os":"Android 9","make":"a \\"b\\""}',
          firstaccess: '1587283462495',
        },
        {
          usertype: 'teacher',
          subject: '["Maths","Science"]',
          language: '["English"]',
          schoolname: 'Public \\[A\\]',
          profile: '{"a":[1]}',
        },
        '{"name":"Bird","gradeLevel":["Class 8"]}',
        '{"identifier":"V4M5I6"}',
      ],
    );
  });

  it('tells the jobs the same of a row as a file does', async t => {
    const file = openCacheOwner(path.join(scratch(t), 'cache.sqlite'));
    t.after(() => file.close());
    const cache = await open(t);
    const rows: readonly [Dataset, JsonObject, (row: JsonObject | undefined) => unknown][] = [
      ['device', DEVICE, deviceDataOf],
      ['device', { ...DEVICE, devicespec: '{"os":"Android 9"}', firstaccess: '7' }, deviceDataOf],
      ['device', { city: null }, deviceDataOf],
      ['user', USER, userDataOf],
      ['user', {}, userDataOf],
      ['content', { name: 'x', lastUpdatedOn: '2020-03-02T12:22:32.206+0000' }, contentDataOf],
    ];
    for (const [dataset, value, convert] of rows) {
      const [ofFile, ofRedis] = await Promise.all(
        [file, cache].map(async store => {
          await store.put(dataset, [{ key: 'k', value }]);
          return convert((await store.get([{ dataset, key: 'k' }]))[0]);
        }),
      );
      assert.deepEqual(ofRedis, ofFile);
    }
  });

  it('asks for no row that it holds, and hands out the same object', async t => {
    const cache = await open(t, { heldMsMax: 60_000 });
    await cache.put('device', [{ key: 'd1', value: { state: 'x' } }]);
    const keys: CacheKey[] = [
      { dataset: 'device', key: 'd1' },
      { dataset: 'device', key: 'none' },
    ];
    const [first] = await cache.get(keys);
    const calls = async () =>
      /cmdstat_hgetall:calls=(\d+)/.exec(String(await ask(redis, ['info', 'commandstats'])))?.[1];
    const before = await calls();
    const [second] = await cache.get(keys);
    assert.equal(await calls(), before);
    assert.equal(second, first);
  });

  it('sees what another program wrote once it has held the row long enough', async t => {
    const cache = await open(t, { heldMsMax: 30 });
    const key: CacheKey = { dataset: 'content', key: 'a' };
    await ask(redis, ['select', 5], ['set', 'a', '{"n":1}']);
    assert.deepEqual(await cache.get([key]), [{ n: 1 }]);
    await ask(redis, ['select', 5], ['set', 'a', '{"n":2}']);
    const writtenAtMs = performance.now();
    while ((await cache.get([key]))[0]?.['n'] !== 2) assert.ok(performance.now() - writtenAtMs < 30_000);
  });

  it('takes an unreadable row for a missing one, and says which', async t => {
    const warned: unknown[] = [];
    const logger = Object.assign(createLogger('silent', 'test'), {
      warn: (fields: unknown) => {
        warned.push(fields);
      },
    });
    const cache = await open(t, { logger });
    await ask(
      redis,
      ['select', 2],
      ['set', 'd1', 'text where a hash belongs'],
      ['select', 5],
      ['set', 'a', '{"n":'],
      ['set', 'b', '[1]'],
      ['set', 'c', '{"n":3}'],
    );
    const keys = ['a', 'b', 'c'].map(key => ({ dataset: 'content' as const, key }));
    assert.deepEqual(await cache.get([{ dataset: 'device', key: 'd1' }, ...keys]), [
      undefined,
      undefined,
      undefined,
      { n: 3 },
    ]);
    assert.deepEqual(warned, [{ dataset: 'device', key: 'd1', count: 3 }]);
  });
});
