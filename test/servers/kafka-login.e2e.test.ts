import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openKafkaAdmin } from '../../src/adapters/log/kafka/kafka-admin.ts';
import { type KafkaConnection, producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient, type NativeProducer } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import { planTopics, wantedTopics } from '../../src/adapters/log/kafka/topic-plan.ts';
import type { Config } from '../../src/config/options.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { askBroker, unregisterBroker } from '../../src/operations/provision/kafka-request.ts';
import { bringUpServers, planServers } from './bring-up.ts';
import { connectionTo } from './kafka-connection.ts';
import { startServers, type TestContext } from './servers.ts';

const TEST_MS_MAX = 600_000;
const CALL_MS_MAX = 5_000;
const START_MS_MAX = 120_000;
const TOPIC = 'test.alpha';
/** Whole requests without a login, as a broker without one answers them: Metadata (4), and UnregisterBroker of 99. */
const METADATA = Buffer.from([0, 0, 0, 16, 0, 3, 0, 4, 0, 0, 0, 1, 0, 1, 120, 0, 0, 0, 0, 0]);
const UNREGISTER = Buffer.from([0, 0, 0, 17, 0, 64, 0, 0, 0, 0, 0, 1, 0, 1, 120, 0, 0, 0, 0, 99, 0]);

/** Connects a producer, as the pipeline does. */
async function producerOf(connection: KafkaConnection, clientPath: string): Promise<NativeProducer> {
  const producer = new (loadNativeClient(clientPath).Producer)(producerSettings(connection), {});
  const logger = createLogger('silent', 'test');
  await connectHandle(producer, { connection, requestMsMax: CALL_MS_MAX, logger });
  producer.setPollInBackground(true);
  return producer;
}

async function createTopic(connection: KafkaConnection): Promise<void> {
  const admin = openKafkaAdmin(connection, 3 * CALL_MS_MAX);
  const wanted = wantedTopics({
    environment: 'test',
    stored: ['alpha'],
    internal: [],
    partitions: 1,
    replication: 1,
    minInsync: 1,
    retentionMs: 3_600_000,
    recordBytesMax: 1_048_576,
  });
  await admin.applyTopics(planTopics(wanted, await admin.observeTopics(wanted)));
  await admin.close();
}

/** Writes so many records, and answers where the topic ends then. */
async function write(connection: KafkaConnection, clientPath: string, count: number): Promise<number> {
  const producer = await producerOf(connection, clientPath);
  for (let index = 0; index < count; index++) {
    producer.produce(TOPIC, 0, Buffer.from(`record ${index}`), null, 0, undefined, undefined);
  }
  await called(callback => producer.flush(30_000, callback));
  const end = await new Promise<number>((resolve, reject) =>
    producer.queryWatermarkOffsets(TOPIC, 0, 30_000, (error, { highOffset }) =>
      error === null ? resolve(highOffset) : reject(error),
    ),
  );
  await disconnectHandle(producer);
  return end;
}

const started = await startServers(['kafka']);
const skip = 'skip' in started ? started.skip : false;

describe('a broker of our own', { skip, timeout: TEST_MS_MAX }, () => {
  if ('skip' in started) return;
  const { context, config } = started;
  const { host, root } = context;
  const connection = connectionTo(config);
  const clientPath = config['kafka.clientFolder'];
  const secretFile = join(root, 'secrets/kafka');
  const login = { user: 'millrace', secretFile };
  const portIn = (listeners: string) => async () => {
    const text = await readFile(join(root, 'servers/kafka/kafka-1.properties'), 'utf8');
    return Number(new RegExp(`^listeners=.*${listeners}://127\\.0\\.0\\.1:(\\d+)`, 'm').exec(text)![1]);
  };
  const [brokerPort, controllerPort] = [portIn('BROKER'), portIn('CONTROLLER')];
  const wrongLogin = async () => {
    const wrongFile = join(root, 'wrong');
    await writeFile(wrongFile, 'not-the-password\n', { mode: 0o600 });
    return { user: 'millrace', secretFile: wrongFile };
  };

  it('lets in who logs in', async () => {
    await createTopic(connection);
    assert.equal(await write(connection, clientPath, 10), 10);
    const { brokers } = await askBroker(host, { port: await brokerPort(), login });
    assert.deepEqual(brokers, [1]);
    await unregisterBroker(host, { port: await controllerPort(), login }, 99);
  });

  it('refuses who does not: metadata, producers, the administration, on the port of controllers as well', async () => {
    const unknown = { timeoutMs: CALL_MS_MAX, isWhole: (reply: Uint8Array) => reply.length > 4 };
    for (const [port, request] of [
      [await brokerPort(), METADATA],
      [await controllerPort(), UNREGISTER],
    ] as const) {
      const reply = await host.ask(port, request, unknown).catch(() => Buffer.alloc(0));
      assert.equal(reply.length, 0, `port ${port} answers nobody`);
    }
    const nobody: KafkaConnection = { ...connection, username: '', password: '' };
    await assert.rejects(producerOf(nobody, clientPath), { code: 'ERR_STORE_UNAVAILABLE' });
    const admin = openKafkaAdmin(nobody, CALL_MS_MAX);
    await assert.rejects(admin.observeTopics([]), {
      code: 'ERR_STORE_UNAVAILABLE',
      remedy: /kafka\.username/,
    });
    await admin.close();
  });

  it('refuses another password by name', async () => {
    const wrong: KafkaConnection = { ...connection, password: 'not-the-password' };
    // The native client tries again until its time has run out: who opens the log has asked the administration before.
    await assert.rejects(producerOf(wrong, clientPath), { code: 'ERR_STORE_UNAVAILABLE' });
    const admin = openKafkaAdmin(wrong, CALL_MS_MAX);
    await assert.rejects(admin.observeTopics([]), { code: 'ERR_STORE_AUTH' });
    await admin.close();
    const stranger = await wrongLogin();
    for (const port of [await brokerPort(), await controllerPort()]) {
      await assert.rejects(askBroker(host, { port, login: stranger }), { code: 'ERR_STORE_AUTH' });
      await assert.rejects(unregisterBroker(host, { port, login: stranger }, 99), { code: 'ERR_STORE_AUTH' });
    }
  });

  it('keeps the password in files of ours alone, and says it nowhere', async () => {
    const secret = (await readFile(secretFile, 'utf8')).trim();
    const { pid } = await host.process('kafka-1');
    for (const name of ['cmdline', 'environ']) {
      assert.ok(!(await readFile(`/proc/${pid}/${name}`, 'latin1')).includes(secret), name);
    }
    const holders: string[] = [];
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || !(await readFile(path, 'latin1')).includes(secret)) continue;
      holders.push(path.slice(root.length + 1));
      assert.equal((await stat(path)).mode & 0o777, 0o600, path);
    }
    assert.deepEqual(holders.sort(), ['secrets/kafka', 'servers/kafka/users.jaas']);
  });

  it('takes another password with a start, and forgets the old one', async () => {
    await writeFile(secretFile, `${randomBytes(24).toString('base64url')}\n`);
    const port = await brokerPort();
    await assert.rejects(askBroker(host, { port, login }), { code: 'ERR_STORE_AUTH' });
    const { bindings } = await bringUpServers(context);
    assert.equal(await write(connectionTo(bindings), clientPath, 5), 15);
    await assert.rejects(producerOf(connection, clientPath), { code: 'ERR_STORE_UNAVAILABLE' });
  });
});

/** The configuration of a broker as it was written before there was a login. */
function withoutLogin(text: string): string {
  return text
    .replace(/^sasl\..*\n/gm, '')
    .replaceAll('SASL_PLAINTEXT', 'PLAINTEXT')
    .replaceAll('BROKER', 'PLAINTEXT');
}

/** Has a broker that was brought up ask nobody, as an earlier version started it; answers how it is reached. */
async function startOpen({ host, root }: TestContext, bindings: Partial<Config>): Promise<KafkaConnection> {
  const name = 'kafka-1';
  const folder = join(root, 'servers/kafka');
  const { pid } = await host.process(name);
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
  await host.stop(name);
  const file = join(folder, `${name}.properties`);
  await writeFile(file, withoutLogin(await readFile(file, 'utf8')));
  await host.start({
    name,
    argv: argv.filter(word => !word.includes('java.security.auth.login.config')),
    cwd: folder,
    logFile: join(folder, `${name}.out`),
    ownLogFile: join(folder, `${name}.log`),
    stopSignal: 'SIGTERM',
    stopMsMax: 12_000,
    digest: 'of an earlier version',
  });
  const connection = { ...connectionTo(bindings), username: '', password: '' };
  const endMs = performance.now() + START_MS_MAX;
  for (;;) {
    const admin = openKafkaAdmin(connection, CALL_MS_MAX);
    try {
      await admin.observeTopics([]);
      return connection;
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await delay(100);
    } finally {
      await admin.close();
    }
  }
}

describe('a broker that an earlier version started, without a login', { skip, timeout: TEST_MS_MAX }, () => {
  if ('skip' in started) return;
  const { context, bindings } = started;
  const { host, root } = context;
  const clientPath = started.config['kafka.clientFolder'];
  const due = async () => (await planServers(context)).flatMap(({ steps }) => steps.map(({ step }) => step));

  for (const isKilled of [false, true]) {
    it(`goes on with its data, ${isKilled ? 'killed' : 'running'}`, async () => {
      const open = await startOpen(context, bindings);
      const before = await write(open, clientPath, 20);
      if (isKilled) {
        process.kill((await host.process('kafka-1')).pid!, 'SIGKILL');
        while ((await host.process('kafka-1')).state === 'running') await delay(10);
      } else {
        const login = { user: 'millrace', secretFile: join(root, 'secrets/kafka') };
        const port = Number(open.brokers[0]!.split(':')[1]);
        await assert.rejects(askBroker(host, { port, login }), {
          code: 'ERR_NOT_READY',
          why: /takes no login by PLAIN: code 34/,
        });
      }
      assert.deepEqual(await due(), ['config-1', 'start']);
      await bringUpServers(context);
      assert.deepEqual(await due(), []);
      assert.equal(await write(connectionTo(bindings), clientPath, 20), before + 20);
      await assert.rejects(producerOf(open, clientPath), { code: 'ERR_STORE_UNAVAILABLE' });
    });
  }
});
