import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { MemoryHost } from '../../src/adapters/host/memory-host.ts';
import { describeServers } from '../../src/operations/provision/servers.ts';
import { planServers } from '../servers/bring-up.ts';
import { admission, admit, BASE, FOLDER, kafkaHost, requestsIn, ZOOKEEPER_PORT } from './kafka-host.ts';
import { applyAll, DONE, due } from './memory-servers.ts';

test('a plan changes nothing; applied, it is empty', async () => {
  const { host, context } = kafkaHost();
  const steps = await due(context);
  assert.deepEqual(host.changes, []);
  assert.deepEqual(
    steps,
    ['software', 'folder', 'logging', 'secret', 'users', 'config-1', 'format', 'start'].map(
      step => `kafka ${step}`,
    ),
  );
  assert.deepEqual(await applyAll(context), steps);
  assert.deepEqual(await due(context), []);
});

test('brokers are of one cluster, and those that are formatted are left alone', async () => {
  const { host, context, formats } = kafkaHost({ 'kafka.nodes': 3 });
  await applyAll(context);
  assert.equal(formats.length, 3);
  assert.equal(new Set(formats).size, 1);
  assert.match(formats[0]!, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/);
  await host.stop('kafka-2');
  await host.remove(join(FOLDER, 'data-2'));
  assert.deepEqual(await due(context), ['kafka format', 'kafka start']);
  await applyAll(context);
  assert.equal(formats.length, 4);
  assert.equal(new Set(formats).size, 1);
  const text = Buffer.from((await host.read(join(FOLDER, 'kafka-2.properties')))!).toString();
  for (const line of [
    'default.replication.factor=3',
    'min.insync.replicas=2',
    'broker.session.timeout.ms=4000',
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
});

test('storage of another number of controllers is refused before anything changes', async () => {
  const { host, context } = kafkaHost();
  await applyAll(context);
  await end(host, 1, true);
  const state = '{"leaderId":1,"currentVoters":[{"voterId":1}],"data_version":0}';
  await host.put(join(FOLDER, 'data-1/__cluster_metadata-0/quorum-state'), state, { mode: 0o600 });
  host.changes.length = 0;
  const more = { ...context, config: { ...context.config, 'kafka.nodes': 3 } };
  await assert.rejects(due(more), {
    code: 'ERR_CONFIG_INVALID',
    why: `kafka.nodes is 3, and ${FOLDER}/data-1 is of a cluster of 1`,
    remedy: /^Set kafka\.nodes to 1/,
  });
  assert.deepEqual(host.changes, []);
  assert.deepEqual(await due(context), ['kafka start']);
});

test('storage of another generation is refused before anything changes', async () => {
  for (const [written, generation, other] of [
    ['version=1\nnode.id=1\n', 'zookeeper', 'kraft'],
    ['version=0\nbroker.id=1\n', 'kraft', 'zookeeper'],
  ] as const) {
    const { host, context } = kafkaHost({ 'kafka.generation': generation });
    await host.makeFolder(join(FOLDER, 'data-1'), { mode: 0o700 });
    await host.put(join(FOLDER, 'data-1/meta.properties'), written, { mode: 0o600 });
    host.changes.length = 0;
    await assert.rejects(due(context), {
      code: 'ERR_DATA_FORMAT',
      remedy: new RegExp(`kafka\\.generation to ${other}`),
    });
    assert.deepEqual(host.changes, []);
  }
});

test('one broker that was killed is one to start', async () => {
  const { host, context } = kafkaHost({ 'kafka.nodes': 3 });
  await applyAll(context);
  host.kill('kafka-3');
  host.answers.delete(BASE + 2);
  const [, plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step, before, after }) => [step, before, after]),
    [['start', 'kafka-3 failed: it was ended by SIGKILL', 'running']],
  );
  host.changes.length = 0;
  await applyAll(context);
  assert.deepEqual(
    host.changes.filter(change => change.startsWith('start')),
    ['start kafka-3'],
  );
});

/** Stops a broker as `kafka-killed.ts` tells it: a clean stop leaves a file that a kill does not. */
async function end(host: MemoryHost, id: number, isClean: boolean): Promise<void> {
  const data = join(FOLDER, `data-${id}`);
  await host.makeFolder(join(data, '__cluster_metadata-0'), { mode: 0o700 });
  await host.put(join(data, '__cluster_metadata-0/quorum-state'), '{}', { mode: 0o600 });
  if (isClean) await host.put(join(data, '.kafka_cleanshutdown'), '{}', { mode: 0o600 });
  host.kill(`kafka-${id}`);
  host.answers.delete(BASE + id - 1);
}

/** Answers as a controller: with a code of the protocol for each time it is asked; the ids it was to forget. */
function controllerOn(host: MemoryHost, port: number, codes: readonly number[]): number[] {
  const asked: number[] = [];
  const isFree = host.isPortFree.bind(host);
  host.isPortFree = async number => number === port || (await isFree(number));
  host.answers.set(port, all => {
    const request = requestsIn(all).at(-1)!;
    assert.deepEqual(
      [request.readInt16BE(4), request.readInt16BE(6)],
      [64, 0],
      'UnregisterBroker, version 0',
    );
    const code = codes[asked.push(request.readInt32BE(request.length - 5)) - 1] ?? 0;
    return admit(all, Buffer.from([0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, code >> 8, code & 255, 0, 0]));
  });
  return asked;
}

const NOT_CONTROLLER = 41;
const NOT_REGISTERED = 102;

test('the registration of a killed broker alone ends before it starts', async () => {
  const { host, context } = kafkaHost();
  await applyAll(context);
  await end(host, 1, false);
  const asked = controllerOn(host, BASE + 3, [NOT_CONTROLLER, NOT_REGISTERED]);
  host.changes.length = 0;
  await applyAll(context);
  assert.deepEqual(asked, [1, 1], 'again until the controller is the active one');
  const changes = host.changes.filter(change => change.includes('kafka-1'));
  assert.deepEqual(changes, [
    'stop kafka-1',
    `put ${join(FOLDER, 'kafka-1-controller.properties')}`,
    'start kafka-1',
    'stop kafka-1',
    'start kafka-1',
  ]);
  assert.deepEqual(await due(context), []);
});

test('of brokers that are all down those that were killed are forgotten, not the one that stopped', async () => {
  const { host, context } = kafkaHost({ 'kafka.nodes': 3 });
  await applyAll(context);
  for (const id of [1, 2, 3]) await end(host, id, id === 2);
  const asked = controllerOn(host, BASE + 4, []);
  await applyAll(context);
  assert.deepEqual(asked, [1, 3]);
});

test('a killed broker beside one that runs is left to the cluster', async () => {
  const { host, context } = kafkaHost({ 'kafka.nodes': 3 });
  await applyAll(context);
  await end(host, 1, false);
  const asked = controllerOn(host, BASE + 3, []);
  await applyAll(context);
  assert.deepEqual(asked, []);
});

test('a broker that was stopped starts at once', async () => {
  const { host, context } = kafkaHost();
  await applyAll(context);
  await end(host, 1, true);
  const asked = controllerOn(host, BASE + 3, []);
  await applyAll(context);
  assert.deepEqual(asked, []);
});

test('the password is in two files of ours alone, and in nothing that is shown or started', async () => {
  const { host, context } = kafkaHost({ 'kafka.nodes': 3 });
  const started: unknown[] = [];
  const start = host.start.bind(host);
  host.start = async spec => {
    started.push(spec);
    return await start(spec);
  };
  await applyAll(context);
  const text = async (path: string) => Buffer.from((await host.read(path))!).toString();
  const secretFile = '/srv/data/test/secrets/kafka';
  const usersFile = join(FOLDER, 'users.jaas');
  const secret = (await text(secretFile)).trim();
  assert.equal((await text(usersFile)).split(`"${secret}"`).length, 3, 'to log in, and to let in');
  for (const path of [secretFile, usersFile]) assert.equal((await host.stat(path))?.mode, 0o600);
  for (const id of [1, 2, 3]) {
    assert.ok(!(await text(join(FOLDER, `kafka-${id}.properties`))).includes(secret));
  }
  assert.ok(!JSON.stringify(started).includes(secret));
  // Another password: who may log in is written anew, and all start anew, after all have stopped.
  await host.put(secretFile, '0123456789abcdef0123456789abcdef\n', { mode: 0o600 });
  const [, plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step, before, after }) => [step, before, after]),
    [
      ['users', 'another (secret)', '(secret)'],
      ['start', [1, 2, 3].map(id => `kafka-${id} running with another configuration`).join('\n'), 'running'],
    ],
  );
  host.changes.length = 0;
  await applyAll(context);
  const moves = host.changes.filter(change => /^(?:start|stop) /.test(change));
  const all = (what: string) => [1, 2, 3].map(id => `${what} kafka-${id}`);
  assert.deepEqual(moves, [...all('stop'), ...all('start')]);
});

test('a login that is refused is said at once, as what it is', async () => {
  const { host, context } = kafkaHost();
  await applyAll(context);
  const [, kafka] = await describeServers(context);
  host.answers.set(BASE, () => admission(0, 58));
  await assert.rejects(kafka!.verify(host), {
    code: 'ERR_STORE_AUTH',
    why: /refuses millrace/,
    remedy: /millrace restart Provision\/Kafka/,
  });
  // A broker of an earlier version, which knows no login; something that is no broker; one that hangs up.
  for (const [answer, why] of [
    [admission(34, 0), /takes no login by PLAIN: code 34/],
    [Buffer.from('HTTP/1.1 400 Bad Request'), /does not answer as Kafka does/],
    [Buffer.from([255, 255, 255, 255, 0]), /does not answer as Kafka does/],
    [Buffer.alloc(0), /does not answer as Kafka does/],
  ] as const) {
    host.answers.set(BASE, () => answer);
    await assert.rejects(kafka!.verify(host, 0), { code: 'ERR_NOT_READY', why });
  }
});

test('an edit by hand is shown and put back', async () => {
  const { host, context } = kafkaHost();
  await applyAll(context);
  const path = join(FOLDER, 'kafka-1.properties');
  const text = Buffer.from((await host.read(path))!).toString();
  await host.put(path, text.replace('min.insync.replicas=1\n', ''), { mode: 0o600 });
  const [, plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step, before, after }) => [step, before, after]),
    [['config-1', '(no such line)', 'min.insync.replicas=1']],
  );
  await applyAll(context);
  assert.equal(Buffer.from((await host.read(path))!).toString(), text);
});

test('a jar that is not the locked one is never run, and never taken', async () => {
  const { host, context } = kafkaHost();
  const digest = host.digest.bind(host);
  const changed = 'kafka-clients-4.3.1.jar';
  host.digest = async path => (basename(path) === changed ? 'f00d' : await digest(path));
  await assert.rejects(applyAll(context), {
    code: 'ERR_DOWNLOAD_CHANGED',
    why: /kafka-clients-4\.3\.1\.jar/,
  });
  assert.equal(await host.stat('/srv/cache/jars/kafka-4.3.1'), undefined);
  host.digest = digest;
  await applyAll(context);
  host.digest = async path => (basename(path) === changed ? 'f00d' : await digest(path));
  assert.deepEqual(await due(context), ['kafka software']);
});

test('a port that is taken, and Java or Maven that is missing, are said before anything is changed', async () => {
  for (const port of [BASE, BASE + 3]) {
    const { host, context } = kafkaHost();
    host.answers.set(port, () => Buffer.alloc(0));
    await assert.rejects(due(context), { code: 'ERR_PORT_TAKEN', why: new RegExp(`${port}`) });
    assert.deepEqual(host.changes, []);
  }
  for (const [tool, remedy] of [
    ['java', /openjdk-17-jre-headless/],
    ['mvn', /apt-get install maven/],
  ] as const) {
    const { host, context } = kafkaHost();
    host.commands.delete(tool);
    await assert.rejects(due(context), { code: 'ERR_TOOL_MISSING', remedy });
    assert.deepEqual(host.changes, []);
  }
  const { host, context } = kafkaHost();
  host.commands.set('java', () => ({ ...DONE, stderr: 'openjdk version "11.0.2"' }));
  await assert.rejects(due(context), { code: 'ERR_TOOL_MISSING', why: /version 11/ });
});

test('kafka 3.9 comes after its ZooKeeper, and is not formatted', async () => {
  const { host, context } = kafkaHost({ 'kafka.generation': 'zookeeper' });
  const steps = await applyAll(context);
  assert.deepEqual(
    steps.filter(step => step.endsWith(' start')),
    ['zookeeper start', 'kafka start'],
  );
  assert.ok(!steps.includes('kafka format'));
  assert.deepEqual(await due(context), []);
  const text = Buffer.from((await host.read(join(FOLDER, 'kafka-1.properties')))!).toString();
  assert.match(text, new RegExp(`^zookeeper\\.connect=127\\.0\\.0\\.1:${ZOOKEEPER_PORT}/kafka$`, 'm'));
});
