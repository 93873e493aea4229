import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portsPart } from '../../src/operations/provision/servers.ts';
import { planServers } from '../servers/bring-up.ts';
import { wanting } from '../servers/servers.ts';
import { applyAll, DONE, due, memoryServers, sha256 } from './memory-servers.ts';

const CONFIG = '/srv/data/test/servers/redis/redis.conf';
const SECRET = '/srv/data/test/secrets/redis';
const PORT = 21_007;

/** Redis answers on its port as soon as it was asked to start; Debian's tools are there. */
function redisHost() {
  const setting = memoryServers(wanting('redis'));
  const { host } = setting;
  const info = 'redis_version:7.0.15\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n';
  const start = host.start.bind(host);
  host.start = async spec => {
    host.answers.set(PORT, () => Buffer.from(`+OK\r\n$${info.length}\r\n${info}\r\n+PONG\r\n`));
    return await start(spec);
  };
  const stop = host.stop.bind(host);
  host.stop = async name => {
    host.answers.delete(PORT);
    await stop(name);
  };
  host.commands.set('dpkg-deb', () => DONE);
  host.commands.set('apt-get', (_argv, { cwd = '' }) => {
    void host.put(`${cwd}/redis-server.deb`, 'package', { mode: 0o644 });
    return DONE;
  });
  return setting;
}

test('a plan changes nothing; applied, it is empty', async () => {
  const { host, context } = redisHost();
  const steps = await due(context);
  assert.deepEqual(host.changes, []);
  assert.deepEqual(
    steps,
    ['software', 'folder', 'secret', 'users', 'config', 'start'].map(step => `redis ${step}`),
  );
  assert.deepEqual(await applyAll(context), steps);
  assert.deepEqual(await due(context), []);
  assert.equal((await host.stat(SECRET))?.mode, 0o600);
});

test('no plan and no configuration holds the secret', async () => {
  const { host, context } = redisHost();
  await applyAll(context);
  const secret = Buffer.from((await host.read(SECRET))!)
    .toString()
    .trim();
  assert.equal(secret.length, 32);
  await host.remove('/srv/data/test/servers/redis/users.acl');
  const plans = await planServers(context);
  const shown = JSON.stringify(plans.map(({ observed, server }) => [observed, server.bindings]));
  assert.ok(!shown.includes(secret) && !shown.includes(sha256(secret)));
  assert.match(shown, /\(secret\)/);
  assert.equal(plans[0]!.server.bindings['redis.password'], `file:${SECRET}`);
});

test('a lost secret is drawn anew, and all that follows from it is done again', async () => {
  const { host, context } = redisHost();
  await applyAll(context);
  await host.remove(SECRET);
  assert.deepEqual(await due(context), ['redis secret', 'redis users', 'redis start']);
  await applyAll(context);
  assert.deepEqual(await due(context), []);
});

test('an edit by hand is shown as the lines that differ', async () => {
  const { host, context } = redisHost();
  await applyAll(context);
  const text = Buffer.from((await host.read(CONFIG))!).toString();
  await host.put(CONFIG, text.replace('noeviction', 'allkeys-lru'), { mode: 0o644 });
  const [plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step, before, after }) => [step, before, after]),
    [['config', 'maxmemory-policy allkeys-lru', 'maxmemory-policy noeviction']],
  );
  await applyAll(context);
  await host.put(CONFIG, text, { mode: 0o644 });
  const [rights] = await planServers(context);
  assert.equal(rights!.observed[0]!.before, 'rights 0644 of operator');
  assert.equal(rights!.observed[0]!.after, 'rights 0600 of operator');
});

test('another port means another start, and the block is remembered', async () => {
  const { host, context } = redisHost();
  await applyAll(context);
  host.answers.clear();
  const moved = { ...context, config: { ...context.config, 'host.portBase': 22_000 } };
  assert.deepEqual(await due(moved), ['redis config', 'redis start']);
  const ports = await portsPart(moved);
  assert.deepEqual(await ports?.observe(host), {
    before: 'ports 21000 to 21031',
    after: 'ports 22000 to 22031',
  });
  const picked = { ...context, config: { ...context.config, 'host.portBase': 0 } };
  assert.deepEqual(await due(picked), []);
  await host.put('/srv/data/test/ports.json', '{', { mode: 0o600 });
  await assert.rejects(due(picked), { code: 'ERR_DATA_FORMAT' });
});

test('a taken port is said before anything is changed', async () => {
  const { host, context } = redisHost();
  host.answers.set(PORT, () => Buffer.from(''));
  await assert.rejects(due(context), { code: 'ERR_PORT_TAKEN', why: /127\.0\.0\.1:21007/ });
  assert.deepEqual(host.changes, []);
});

test('a missing program is said before anything is changed, with the remedy', async () => {
  const { host, context } = redisHost();
  host.commands.delete('dpkg-deb');
  await assert.rejects(due(context), { code: 'ERR_TOOL_MISSING', remedy: /Install redis-server/ });
  assert.deepEqual(host.changes, []);
});

test('a download that fails says what was run, and leaves nothing by the name', async () => {
  const { host, context } = redisHost();
  host.commands.set('apt-get', () => ({ ...DONE, exitCode: 100, stderr: 'no such package' }));
  await assert.rejects(applyAll(context), { code: 'ERR_HOST_COMMAND', why: /apt-get.*no such package/s });
  assert.ok((await due(context)).includes('redis software'));
});
