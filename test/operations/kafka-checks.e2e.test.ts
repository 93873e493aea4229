import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import { applyDueTopics } from '../../src/cli/compose-kafka.ts';
import type { ChecksDocument } from '../../src/core/operation-documents.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { connectionTo } from '../servers/kafka-connection.ts';
import { startServers } from '../servers/servers.ts';
import { CommandLine } from './command-line.ts';

const CALL_MS_MAX = 30_000;

const kafka = await startServers(['kafka']);
const skip = 'skip' in kafka ? kafka.skip : false;

describe('doctor looks at a Kafka of others', { skip, timeout: 240_000 }, () => {
  const line = new CommandLine();
  after(() => line.remove());

  const doctor = async (...sets: readonly string[]) => {
    assert.ok(!('skip' in kafka));
    const { config } = kafka;
    const brokers = config['kafka.brokers'].join(',');
    // Processes that share a log share the rest; the others are not there, which are checks of their own.
    const shared = ['state.adapter=redis', 'cache.adapter=redis', 'redis.target=external', 'redis.port=1'];
    const all = [
      'log.adapter=kafka',
      'kafka.target=external',
      `kafka.brokers=${brokers}`,
      ...(['kafka.mechanism', 'kafka.username', 'kafka.password'] as const).map(
        key => `${key}=${config[key]}`,
      ),
      ...shared,
      ...sets,
    ];
    const ended = await line.run(['doctor', '--json', ...all.flatMap(set => ['--set', set])]);
    const { checks } = JSON.parse(ended.stdout) as ChecksDocument;
    return checks.filter(({ id }) => id === 'kafka').map(({ id: _, ...check }) => check);
  };

  it('and says which topics are not there yet', async () => {
    const [told, ...others] = await doctor();
    assert.deepEqual(others, []);
    assert.deepEqual([told?.ok, told?.severity], [false, 'warn'], JSON.stringify(told));
    assert.match(
      told!.found,
      /^Kafka 4 or newer, 1 broker at .+: \d+ topics are not there yet \(ERR_TOPIC_MISSING\)$/,
    );
    assert.match(told!.remedy, /millrace up/);
  });

  it('and finds nothing once they are there, with a right to transactions', async () => {
    assert.ok(!('skip' in kafka));
    await applyDueTopics({ config: kafka.config, environment: 'local' }, () => true);
    const [told, ...others] = await doctor();
    assert.deepEqual(others, []);
    assert.equal(told?.ok, true, JSON.stringify(told));
    assert.match(told!.found, /^Kafka 4 or newer, 1 broker at /);
  });

  it('and says where a transaction is open that nobody ends', async test => {
    assert.ok(!('skip' in kafka));
    const { config } = kafka;
    const connection = connectionTo(config);
    const settings = {
      ...producerSettings(connection),
      'transactional.id': 'local.test.open',
      'transaction.timeout.ms': 300_000,
    };
    const producer = new (loadNativeClient(config['kafka.clientFolder']).Producer)(settings, {});
    await connectHandle(producer, {
      connection,
      requestMsMax: CALL_MS_MAX,
      logger: createLogger('silent', 'test'),
    });
    test.after(() => disconnectHandle(producer));
    producer.setPollInBackground(true);
    await called(callback => producer.initTransactions(CALL_MS_MAX, callback));
    await called(callback => producer.beginTransaction(callback));
    producer.produce('local.telemetry.ingest', 0, Buffer.from('open'), null, 0, undefined, undefined);
    await called(callback => producer.flush(CALL_MS_MAX, callback));
    const [told] = await doctor();
    assert.deepEqual([told?.ok, told?.severity], [false, 'block'], JSON.stringify(told));
    assert.match(
      told!.found,
      /nothing is read past local\.telemetry\.ingest:0 at offset 0 \(ERR_TRANSACTION_OPEN\)/,
    );
    assert.match(told!.remedy, /kafka-transactions\.sh find-hanging/);
    await called(callback => producer.abortTransaction(CALL_MS_MAX, callback));
    // The end of a transaction is written a moment after it was answered.
    const deadlineMs = performance.now() + CALL_MS_MAX;
    for (let [now] = await doctor(); now?.ok !== true; [now] = await doctor()) {
      assert.ok(performance.now() < deadlineMs, JSON.stringify(now));
    }
  });

  it('and says that there are fewer copies than are wanted', async () => {
    const told = await doctor('kafka.replication=3', 'kafka.minInsync=2');
    assert.ok(told.length >= 2, JSON.stringify(told));
    for (const { ok, found } of told) {
      assert.equal(ok, false);
      assert.match(found, /ERR_REPLICAS_TOO_FEW/);
    }
    assert.ok(
      told.some(({ severity, found }) => severity === 'block' && /kafka\.minInsync is 2/.test(found)),
    );
    assert.ok(told.some(({ severity, remedy }) => severity === 'warn' && /kafka-reassign/.test(remedy)));
  });

  it('and names one that is not reached', async () => {
    const [told] = await doctor('kafka.brokers=127.0.0.1:1');
    assert.deepEqual([told?.ok, told?.severity], [false, 'block'], JSON.stringify(told));
    assert.match(told!.found, /127\.0\.0\.1:1/);
  });
});
