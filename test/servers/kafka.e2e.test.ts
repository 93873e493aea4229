import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../../src/config/options.ts';
import { stopServers } from '../../src/operations/provision/servers.ts';
import { bringUpServers, planServers } from './bring-up.ts';
import { serversContext, type TestContext, wanting } from './servers.ts';

const STEP_MS_MAX = 600_000;

/** The steps that are due, `server step`. */
async function due(context: TestContext): Promise<readonly string[]> {
  const plans = await planServers(context);
  return plans.flatMap(({ server, steps }) => steps.map(({ step }) => `${server.name} ${step}`));
}

async function stopAll(context: TestContext): Promise<void> {
  const plans = await planServers(context);
  await stopServers(
    context.host,
    plans.map(({ server }) => server),
  );
}

/** Ends a process at once, and waits until the host has noticed. */
async function kill({ host }: TestContext, name: string): Promise<void> {
  process.kill((await host.process(name)).pid!, 'SIGKILL');
  while ((await host.process(name)).state === 'running') await delay(10);
}

/** Whether a broker was ever unregistered, by the log of the first node. */
async function forgotten({ dataDirectory }: TestContext, id: number): Promise<boolean> {
  const log = await readFile(join(dataDirectory, 'test/servers/kafka/kafka-1.log'), 'utf8');
  return log.includes(`Replayed UnregisterBrokerRecord(brokerId=${id},`);
}

/** The client comes with them: built once, it lies in the cache. */
function open(overrides: Partial<Config>): Promise<TestContext> {
  return serversContext({ ...wanting('kafka'), ...overrides });
}

describe('kafka by itself', { timeout: STEP_MS_MAX }, async () => {
  const context = await open({});
  const folder = join(context.dataDirectory, 'test/servers/kafka');

  it('comes up, and then nothing is left to do', async () => {
    const { answers, bindings } = await bringUpServers(context);
    assert.match(answers.at(-1)!, /^Kafka 4\.3\.1 on 127\.0\.0\.1:\d+$/);
    assert.equal(bindings['kafka.brokers']!.length, 1);
    assert.deepEqual(await due(context), []);
    assert.equal(await forgotten(context, 1), false);
  });

  it('was formatted with the features of its version', async () => {
    const log = await readFile(join(folder, 'kafka-1.log'), 'utf8');
    assert.match(log, /Kafka Server started/);
    for (const feature of ['group.version=1', 'transaction.version=2', 'share.version']) {
      assert.ok(log.includes(feature.split('=')[0]!), `${feature} is not in the log`);
    }
  });

  it('is put right where its configuration was edited', async () => {
    const file = join(folder, 'kafka-1.properties');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('auto.create.topics.enable=false', 'auto.create.topics.enable=true'));
    const [plan] = (await planServers(context)).filter(({ server }) => server.name === 'kafka');
    assert.deepEqual(
      plan!.observed.map(({ step, before, after: wanted }) => [step, before, wanted]),
      [['config-1', 'auto.create.topics.enable=true', 'auto.create.topics.enable=false']],
    );
    await bringUpServers(context);
    assert.equal(await readFile(file, 'utf8'), text);
    assert.equal(await forgotten(context, 1), false, 'it was stopped, not killed');
  });

  it('starts again where it was killed, in the same cluster', async () => {
    const meta = await readFile(join(folder, 'data-1/meta.properties'), 'utf8');
    await kill(context, 'kafka-1');
    assert.deepEqual(await due(context), ['kafka start']);
    await bringUpServers(context);
    assert.equal(await readFile(join(folder, 'data-1/meta.properties'), 'utf8'), meta);
    assert.equal(await forgotten(context, 1), true);
  });

  it('is stopped in time, by itself', async () => {
    const startMs = performance.now();
    await stopAll(context);
    assert.ok(performance.now() - startMs < 15_000);
    const end = (await readFile(join(folder, 'kafka-1.log'), 'utf8'))
      .trimEnd()
      .split('\n')
      .slice(-8)
      .join('\n');
    assert.match(end, /App info kafka.server for 1 unregistered/, 'it was killed');
  });
});

describe('three brokers', { timeout: STEP_MS_MAX }, async () => {
  const context = await open({ 'kafka.nodes': 3 });

  it('come up and know each other; one that was killed comes back', async () => {
    const { bindings } = await bringUpServers(context);
    assert.equal(bindings['kafka.brokers']!.length, 3);
    assert.deepEqual(await due(context), []);
    const pids = await Promise.all([1, 3].map(async id => (await context.host.process(`kafka-${id}`)).pid));
    await kill(context, 'kafka-2');
    assert.deepEqual(await due(context), ['kafka start']);
    await bringUpServers(context);
    const after = await Promise.all([1, 3].map(async id => (await context.host.process(`kafka-${id}`)).pid));
    assert.deepEqual(after, pids, 'the others were left alone');
    assert.equal(await forgotten(context, 2), false, 'it is for the others to end its registration');
    for (const id of [1, 2, 3]) await kill(context, `kafka-${id}`);
    await bringUpServers(context);
    for (const id of [1, 2, 3]) assert.equal(await forgotten(context, id), true);
    // Each logs in to the others: they take another password together or not at all.
    const secret = randomBytes(24).toString('base64url');
    await writeFile(join(context.root, 'secrets/kafka'), `${secret}\n`);
    await bringUpServers(context);
    assert.deepEqual(await due(context), []);
    for (const id of [1, 2, 3]) {
      const log = await readFile(join(context.root, `servers/kafka/kafka-${id}.log`), 'utf8');
      assert.ok(!log.includes(secret));
    }
    const startMs = performance.now();
    await stopAll(context);
    assert.ok(performance.now() - startMs < 15_000);
    for (const id of [1, 2, 3]) assert.equal((await context.host.process(`kafka-${id}`)).state, 'stopped');
  });
});

/** Old clusters are for the longer suite. */
const notLong =
  process.env['MILLRACE_TEST_LONG'] === '1' ? false : 'the longer suite runs it: MILLRACE_TEST_LONG=1';

describe('kafka 3.9 on zookeeper', { timeout: STEP_MS_MAX, skip: notLong }, async () => {
  const context = await open({ 'kafka.generation': 'zookeeper' });

  it('comes up after its ZooKeeper, and each starts again where it was killed', async () => {
    const { answers } = await bringUpServers(context);
    assert.match(answers[1]!, /^ZooKeeper 3\.8\.4 on/);
    assert.match(answers[2]!, /^Kafka 3\.9\.2 on/);
    assert.deepEqual(await due(context), []);
    await kill(context, 'zookeeper');
    assert.deepEqual(await due(context), ['zookeeper start']);
    await bringUpServers(context);
    await kill(context, 'kafka-1');
    assert.deepEqual(await due(context), ['kafka start']);
    await bringUpServers(context);
    await stopAll(context);
  });
});
