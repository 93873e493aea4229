import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { stopServers } from '../../src/operations/provision/servers.ts';
import { bringUpServers, planServers } from './bring-up.ts';
import { serversContext, wanting } from './servers.ts';

const context = await serversContext(wanting('redis'));
const { host } = context;
const root = join(context.dataDirectory, 'test');

const stepsDue = async () => {
  const [plan] = await planServers(context);
  return plan!.steps.map(({ step }) => step);
};

/** Sends words as the pipeline's user and returns the replies as Redis wrote them. */
async function ask(...commands: readonly string[]): Promise<string> {
  const { base } = JSON.parse(await readFile(join(root, 'ports.json'), 'utf8')) as { base: number };
  const secret = (await readFile(join(root, 'secrets/redis'), 'utf8')).trim();
  const lines = [`AUTH millrace ${secret}`, ...commands, 'ECHO over'];
  const reply = await host.ask(base + 7, Buffer.from(lines.map(line => `${line}\r\n`).join('')), {
    timeoutMs: 10_000,
    isWhole: bytes => Buffer.from(bytes).toString().endsWith('$4\r\nover\r\n'),
  });
  return Buffer.from(reply).toString().slice('+OK\r\n'.length, -'$4\r\nover\r\n'.length);
}

test('redis comes up, and then nothing is left to do', { timeout: 300_000 }, async () => {
  const before = await host.list(context.dataDirectory);
  assert.ok((await stepsDue()).includes('start'));
  assert.deepEqual(await host.list(context.dataDirectory), before, 'a plan changes nothing');

  const { bindings, answers } = await bringUpServers(context);
  assert.match(answers[0]!, /^Redis 7\.0\.\d+ on 127\.0\.0\.1:\d+$/);
  assert.deepEqual(await stepsDue(), []);
  assert.equal(bindings['redis.username'], 'millrace');
  assert.equal(bindings['redis.password'], `file:${join(root, 'secrets/redis')}`);
  assert.equal(await ask('PING'), '+PONG\r\n');
});

test('no secret lies open', async () => {
  const secret = (await readFile(join(root, 'secrets/redis'), 'utf8')).trim();
  assert.equal((await stat(join(root, 'secrets/redis'))).mode & 0o777, 0o600);
  const { pid } = await host.process('redis');
  for (const file of ['cmdline', 'environ']) {
    assert.ok(!(await readFile(`/proc/${pid}/${file}`, 'latin1')).includes(secret), file);
  }
  for (const file of ['redis.conf', 'users.acl', 'redis.log']) {
    assert.ok(!(await readFile(join(root, 'servers/redis', file), 'latin1')).includes(secret), file);
  }
});

test('its user does what the pipeline does, and no more', async () => {
  assert.equal(
    await ask('SET a 1 NX GET PX 60000', 'MGET a b', 'SELECT 2', 'EVAL return(7) 0'),
    '$-1\r\n*2\r\n$1\r\n1\r\n$-1\r\n+OK\r\n:7\r\n',
  );
  for (const command of [
    'FLUSHALL',
    'CONFIG GET dir',
    'ACL GETUSER default',
    'ACL LIST',
    'SHUTDOWN',
    'KEYS *',
  ]) {
    assert.match(await ask(command), /^-NOPERM/, command);
  }
});

test('an edited configuration is found, shown and put back', async () => {
  const file = join(root, 'servers/redis/redis.conf');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('appendfsync always', 'appendfsync no'));
  const [plan] = await planServers(context);
  assert.deepEqual(plan!.observed, [
    {
      step: 'config',
      what: 'write the configuration of Redis',
      before: 'appendfsync no',
      after: 'appendfsync always',
    },
  ]);
  await bringUpServers(context);
  assert.equal(await readFile(file, 'utf8'), text);
  assert.deepEqual(await stepsDue(), []);
});

test('killed, it starts again with what it was told, transactions and scripts included', async () => {
  await ask('SET kept yes', 'MULTI', 'SET together yes', 'SELECT 7', 'SET together yes', 'EXEC');
  await ask(`EVAL "redis.call('SET',KEYS[1],'yes') redis.call('SET',KEYS[2],'yes')" 2 one two`);
  const { pid } = await host.process('redis');
  process.kill(pid!, 'SIGKILL');
  while ((await host.process('redis')).state === 'running') await delay(10);
  const [plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step, before, after: wanted }) => [step, before, wanted]),
    [['start', 'failed: it was ended by SIGKILL', 'running']],
  );
  await bringUpServers(context);
  const replies = await ask('MGET kept one two together', 'SELECT 7', 'GET together');
  assert.equal(replies, `*4\r\n${'$3\r\nyes\r\n'.repeat(4)}+OK\r\n$3\r\nyes\r\n`);
  assert.notEqual((await host.process('redis')).pid, pid);
});

test('stopped, its port may be taken by another: said before anything is changed', async () => {
  const plans = await planServers(context);
  await stopServers(
    host,
    plans.map(({ server }) => server),
  );
  assert.equal((await host.process('redis')).state, 'stopped');
  const { base } = JSON.parse(await readFile(join(root, 'ports.json'), 'utf8')) as { base: number };
  const squatter = createServer().listen(base + 7, '127.0.0.1');
  await once(squatter, 'listening');
  const file = join(root, 'servers/redis/redis.conf');
  await writeFile(file, 'edited');
  await assert.rejects(bringUpServers(context), { code: 'ERR_PORT_TAKEN', why: /redis is to listen/ });
  assert.equal(await readFile(file, 'utf8'), 'edited');
  squatter.close();
  await once(squatter, 'close');
  await bringUpServers(context);
});
