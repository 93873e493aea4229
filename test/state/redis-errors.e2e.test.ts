import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRedisCache } from '../../src/adapters/cache/redis-cache.ts';
import { checkRedis } from '../../src/adapters/redis/check-redis.ts';
import type { RedisAddress } from '../../src/adapters/redis/redis-connection.ts';
import { openRedisState } from '../../src/adapters/state/redis-state.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { startRedis, type TestRedis, type TestRedisOptions, withoutRedis } from '../servers/redis.ts';
import { LIMITS } from '../sinks/cache-contract.ts';
import { scratch } from '../sinks/setting.ts';
import { markAt } from './contract.ts';
import { ask, MARK_DATABASES, openState, stateOptions } from './open-redis.ts';

const ROW_DATABASES = { device: 2, content: 5, dialcode: 6, user: 12 } as const;

async function start(t: TestContext, options: TestRedisOptions = {}): Promise<TestRedis> {
  const redis = await startRedis(options);
  t.after(() => redis.stop());
  return redis;
}

/** The error that a call is refused with. */
async function refusal(call: Promise<unknown>): Promise<MillraceError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MillraceError, String(error));
  return error;
}

async function openCache(t: TestContext, address: RedisAddress) {
  const logger = createLogger('silent', 'test');
  const cache = await openRedisCache({ ...address, databases: ROW_DATABASES, limits: LIMITS, logger });
  t.after(() => cache.close());
  return cache;
}

/** Calls until it succeeds; every failure on the way is of the code. */
async function untilDone<T>(code: string, call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + 20_000;
  while (true) {
    try {
      return await call();
    } catch (error) {
      assert.equal((error as MillraceError).code, code, String(error));
      assert.ok(performance.now() < untilMs, String(error));
      await sleep(20);
    }
  }
}

function checkOptions(address: RedisAddress) {
  return {
    ...address,
    markDatabases: Object.values(MARK_DATABASES),
    rowDatabases: Object.values(ROW_DATABASES),
  };
}

describe('errors of Redis', { skip: withoutRedis }, () => {
  it('says that nobody listens, and where', async t => {
    const redis = await start(t);
    await redis.kill('SIGKILL');
    const error = await refusal(openRedisState(stateOptions(redis)));
    assert.equal(error.code, 'ERR_STORE_UNAVAILABLE');
    assert.match(error.why, new RegExp(`127\\.0\\.0\\.1:${redis.address.port}.*ECONNREFUSED`));
    assert.match(error.remedy, /redis\.host/);
  });

  it('says that the login is refused, without the password', async t => {
    const redis = await start(t, { config: { requirepass: 'right-one' } });
    for (const password of ['wrong-one', '']) {
      const error = await refusal(openRedisState(stateOptions(redis, { password })));
      assert.equal(error.code, 'ERR_STORE_AUTH');
      assert.doesNotMatch(JSON.stringify([error.why, error.stack, error.cause]), /wrong-one/);
    }
    const state = await openState(t, redis);
    assert.equal(await state.mark([markAt('a', 0)]), null);
    await ask(redis, ['config', 'set', 'requirepass', 'another-one']);
    await redis.kill('SIGKILL');
    const down = await refusal(state.seen([markAt('a', 0)]));
    assert.equal(down.code, 'ERR_STORE_UNAVAILABLE');
  });

  it('needs the rights that the documentation lists, and names one that is missing', async t => {
    const marks = '+ping +select +mget +get +set +eval +evalsha +dbsize';
    const rows = '+ping +select +mget +get +set +hgetall +hset +del +multi +exec';
    const redis = await start(t, {
      users: [
        `user marks on >p ~* -@all ${marks}`,
        `user rows on >p ~* -@all ${rows}`,
        `user unset on >p ~* -@all ${marks} -set`,
        `user unscripted on >p ~* -@all ${marks} -eval -evalsha`,
        `user readonly on >p ~* -@all ${rows} -hset`,
      ],
    });
    const as = (username: string) => ({ ...redis.address, username, password: 'p' });
    const state = await openState(t, redis, as('marks'));
    assert.equal(await state.mark([markAt('a', 0)]), null);
    assert.equal(await state.count(), 1);
    const cache = await openCache(t, as('rows'));
    await cache.put('user', [{ key: 'u', value: { usertype: 'x' } }]);
    await cache.put('content', [{ key: 'c', value: { name: 'x' } }]);

    for (const [username, right] of [
      ['unset', 'set'],
      ['unscripted', 'eval'],
    ] as const) {
      const poor = await openState(t, redis, as(username));
      const error = await refusal(poor.mark([markAt('b', 1)]));
      assert.equal(error.code, 'ERR_STORE_RIGHTS', error.why);
      assert.match(`${error.why} ${error.remedy}`, new RegExp(`'${right}|\\+${right}`));
      assert.equal((await poor.seen([markAt('a', 0)])).length, 1, 'the rest still works');
    }
    const reader = await openCache(t, as('readonly'));
    const error = await refusal(reader.put('user', [{ key: 'u', value: { usertype: 'y' } }]));
    assert.equal(error.code, 'ERR_STORE_RIGHTS', error.why);
    assert.deepEqual({ ...(await reader.get([{ dataset: 'user', key: 'u' }]))[0] }, { usertype: 'x' });
  });

  it('says that memory is full, sets no mark of the batch, and goes on when there is room', async t => {
    const redis = await start(t, { config: { maxmemory: '3mb', 'maxmemory-policy': 'noeviction' } });
    const state = await openState(t, redis);
    const cache = await openCache(t, redis.address);
    await cache.put('content', [{ key: 'c', value: { name: 'x' } }]);
    let batch = 0;
    const marksOf = (n: number) =>
      Array.from({ length: 200 }, (_, i) => markAt(`key ${n} ${i}`, n * 200 + i));
    let error: MillraceError | undefined;
    while (error === undefined) {
      assert.ok(batch < 1_000, 'it never fills up');
      const outcome = state.mark(marksOf(batch));
      if ((await outcome.catch(() => 'refused')) === 'refused') error = await refusal(outcome);
      else batch += 1;
    }
    assert.equal(error.code, 'ERR_STORE_FULL', error.why);
    const found = await state.seen(marksOf(batch));
    assert.equal(found.filter(sighting => sighting !== undefined).length, 0);
    // The batch that was refused took memory itself: with that given back there may be room for one row.
    await ask(redis, ['config', 'set', 'maxmemory', '1mb']);
    assert.equal((await refusal(cache.put('content', [{ key: 'd', value: {} }]))).code, 'ERR_STORE_FULL');
    assert.deepEqual(await cache.get([{ dataset: 'content', key: 'c' }]), [{ name: 'x' }]);
    await ask(redis, ['config', 'set', 'maxmemory', '0']);
    assert.equal(await state.mark(marksOf(batch)), null);
    await cache.put('content', [{ key: 'd', value: { name: 'y' } }]);
  });

  it('says that a replica takes no writes', async t => {
    const primary = await start(t);
    const redis = await start(t, { config: { replicaof: `127.0.0.1 ${primary.address.port}` } });
    const state = await openState(t, redis);
    // It may be loading what the primary has.
    const error = await untilDone('ERR_STORE_UNAVAILABLE', async () => {
      const refused = await refusal(state.mark([markAt('a', 0)]));
      if (refused.code === 'ERR_STORE_UNAVAILABLE') throw refused;
      return refused;
    });
    assert.equal(error.code, 'ERR_STORE_READ_ONLY', error.why);
    const cache = await openCache(t, redis.address);
    assert.equal(
      (await refusal(cache.put('content', [{ key: 'd', value: {} }]))).code,
      'ERR_STORE_READ_ONLY',
    );
  });

  it('waits out a server that is loading', async t => {
    const redis = await start(t, {
      config: { 'key-load-delay': '500', 'loading-process-events-interval-bytes': '1024' },
    });
    const state = await openState(t, redis);
    await state.mark(Array.from({ length: 4_000 }, (_, n) => markAt(`k${n}`, n)));
    await redis.kill('SIGKILL');
    await redis.start(false);
    const whys = new Set<string>();
    const [sighting] = await untilDone('ERR_STORE_UNAVAILABLE', () =>
      state.seen([markAt('k3999', 0)]).catch((error: MillraceError) => {
        whys.add(error.why);
        throw error;
      }),
    );
    assert.equal(sighting?.source?.offset, 3999);
    assert.ok(
      [...whys].some(why => why.includes('LOADING')),
      [...whys].join('\n'),
    );
  });

  it('gives up on a server that hangs, and reaches it again', async t => {
    const redis = await start(t);
    const state = await openState(t, redis, { replyMsMax: 1_000 });
    redis.pause('SIGSTOP');
    const error = await refusal(state.seen([markAt('a', 0)]));
    assert.equal(error.code, 'ERR_STORE_UNAVAILABLE');
    assert.match(error.why, /1000ms/);
    redis.pause('SIGCONT');
    assert.deepEqual(await untilDone('ERR_STORE_UNAVAILABLE', () => state.seen([markAt('a', 0)])), [
      undefined,
    ]);
  });

  it('speaks TLS with an authority that it is given, and no other', async t => {
    const redis = await start(t, { tls: true });
    const state = await openState(t, redis);
    assert.equal(await state.mark([markAt('a', 0)]), null);
    const system = await refusal(openRedisState(stateOptions(redis, { caFile: '' })));
    assert.equal(system.code, 'ERR_STORE_UNAVAILABLE');
    assert.match(system.remedy, /redis\.caFile/);
    const stranger = await start(t, { tls: true });
    const error = await refusal(openRedisState(stateOptions(redis, { caFile: stranger.address.caFile })));
    assert.match(error.remedy, /redis\.caFile/);
    const plain = await refusal(openRedisState(stateOptions(redis, { tls: false })));
    assert.equal(plain.code, 'ERR_STORE_UNAVAILABLE');
    assert.match(plain.remedy, /redis\.tls/);
    const gone = await refusal(
      openRedisState(stateOptions(redis, { caFile: `${redis.address.caFile}.none` })),
    );
    assert.equal(gone.code, 'ERR_FILE_UNREADABLE');
    const empty = `${scratch(t)}/ca.pem`;
    writeFileSync(empty, 'no certificate');
    assert.equal((await refusal(openRedisState(stateOptions(redis, { caFile: empty })))).kind, 'unavailable');
  });
});

describe('checkRedis', { skip: withoutRedis }, () => {
  it('finds nothing in one that is set up well', async t => {
    const redis = await start(t, { config: { appendfsync: 'always' } });
    const { version, findings } = await checkRedis(checkOptions(redis.address));
    assert.match(version, /^(Redis|Valkey) \d+\.\d+/);
    assert.deepEqual(findings, []);
  });

  it('finds a default user whose transactions a restart would drop', async t => {
    const redis = await start(t, {
      config: { appendfsync: 'always' },
      users: ['user default on nopass ~* -@all +@all -exec', 'user a on >b ~* +@all'],
    });
    const { findings } = await checkRedis({ ...checkOptions(redis.address), username: 'a', password: 'b' });
    assert.deepEqual(
      findings.map(({ severity, problem }) => [severity, problem]),
      [
        [
          'warning',
          'the user default may run "+@all -exec": a restart may forget marks, and duplicates pass',
        ],
      ],
    );
  });

  it('finds what loses marks, errors first', async t => {
    const redis = await start(t, { config: { appendonly: 'no', 'maxmemory-policy': 'allkeys-lru' } });
    const { findings } = await checkRedis(checkOptions(redis.address));
    assert.deepEqual(
      findings.map(({ severity, remedy }) => [severity, remedy]),
      [
        ['error', 'Set maxmemory-policy noeviction.'],
        ['warning', 'Set appendonly yes.'],
      ],
    );
    const rows = await checkRedis({ ...checkOptions(redis.address), markDatabases: [] });
    assert.deepEqual(
      rows.findings.map(({ severity }) => severity),
      ['warning', 'warning'],
    );
  });

  for (const appendfsync of ['everysec', 'no']) {
    it(`finds marks that a power failure may forget: appendfsync ${appendfsync}`, async t => {
      const redis = await start(t, { config: { appendfsync } });
      const { findings } = await checkRedis(checkOptions(redis.address));
      assert.deepEqual(
        findings.map(({ severity, problem, remedy }) => [severity, problem.split(':')[0], remedy]),
        [['warning', `appendfsync is ${appendfsync}`, 'Set appendfsync always.']],
      );
      const rows = await checkRedis({ ...checkOptions(redis.address), markDatabases: [] });
      assert.deepEqual(rows.findings, []);
    });
  }

  it('notes that it could not read appendfsync where the user may not, or nobody may', async t => {
    const marks = '+ping +select +info +get +mget +set +eval +evalsha +dbsize';
    const guides = `user a on >b ~* -@all ${marks} +hgetall +hset +del +multi +exec`;
    const forbidden = await start(t, { users: [guides] });
    const renamed = await start(t, { config: { 'rename-command': 'CONFIG ""' } });
    for (const address of [{ ...forbidden.address, username: 'a', password: 'b' }, renamed.address]) {
      const { findings } = await checkRedis(checkOptions(address));
      assert.deepEqual(
        findings.map(({ severity, problem }) => [severity, problem.split(':')[0]]),
        [['note', 'appendfsync could not be read']],
      );
    }
  });

  it('finds a database that is not there, a right that is missing and a server that takes no writes', async t => {
    const redis = await start(t, {
      config: { databases: '10' },
      users: ['user poor on >p ~* +@all -evalsha -eval -info'],
    });
    const { findings } = await checkRedis({
      ...checkOptions(redis.address),
      username: 'poor',
      password: 'p',
    });
    assert.deepEqual(
      findings.map(({ severity, problem }) => [severity, /index is out|'eval'|'info'/.exec(problem)?.[0]]),
      [
        ['error', 'index is out'],
        ['error', "'eval'"],
        ['warning', "'info'"],
      ],
    );
    const replica = await start(t, { config: { replicaof: `127.0.0.1 ${redis.address.port}` } });
    const readOnly = await checkRedis(checkOptions(replica.address));
    assert.ok(readOnly.findings.some(({ code }) => code === 'ERR_STORE_READ_ONLY'));
  });
});
