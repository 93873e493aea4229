import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKafkaAdmin } from '../../src/adapters/log/kafka/kafka-admin.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../src/adapters/log/kafka/kafka-log.ts';
import { type KafkaConnection, producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient, type NativeProducer } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import { planTopics, wantedTopics } from '../../src/adapters/log/kafka/topic-plan.ts';
import type { Consumer, ServedLog } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { bringUpServers } from '../servers/bring-up.ts';
import { connectionTo } from '../servers/kafka-connection.ts';
import { startServers, type TestServers } from '../servers/servers.ts';

const BROKERS = 'MILLRACE_TEST_KAFKA';
const CLIENT = 'MILLRACE_TEST_KAFKA_CLIENT';
/** User, and a reference to the password. */
const LOGIN = 'MILLRACE_TEST_KAFKA_LOGIN';
/** How many brokers are started: one, or as many as a test file asks for before it imports this. */
const NODES = Number(process.env['MILLRACE_TEST_KAFKA_NODES'] ?? 1);
/** A topic of three brokers outlives one of them. */
const [REPLICATION, MIN_INSYNC] = NODES >= 3 ? [3, 2] : [1, 1];

let context: TestServers['context'] | undefined;

/** Starts a broker for the test file, and tells the processes that it starts: they use the same. */
async function findKafka(): Promise<string | false> {
  if (process.env[BROKERS] !== undefined) return false;
  const kafka = await startServers(['kafka'], { 'kafka.nodes': NODES });
  if ('skip' in kafka) return kafka.skip;
  context = kafka.context;
  process.env[BROKERS] = kafka.config['kafka.brokers'].join(',');
  process.env[LOGIN] = [kafka.config['kafka.username'], kafka.config['kafka.password']].join(' ');
  process.env[CLIENT] = kafka.config['kafka.clientFolder'];
  return false;
}

/** What a test of Kafka is skipped with; false where it can run. */
export const SKIP: string | false = await findKafka();

/** Folder of the native client's package. */
export const CLIENT_PATH = process.env[CLIENT] ?? '';

/** The brokers of the tests; of none, where they cannot run. */
export const CONNECTION: KafkaConnection = findConnection();

function findConnection(): KafkaConnection {
  const [brokers = '', login = ''] = [process.env[BROKERS], process.env[LOGIN]];
  if (brokers === '') {
    return { brokers: [], tls: false, caFile: '', mechanism: 'plain', username: '', password: '' };
  }
  const [username = '', password = ''] = login.split(' ');
  return connectionTo({
    'kafka.brokers': brokers.split(','),
    'kafka.username': username,
    'kafka.password': password,
  });
}

/** Process id of a broker, counted from 1, in the process that started it. */
export async function brokerPid(node = 1): Promise<number> {
  return (await context!.host.process(`kafka-${node}`)).pid!;
}

/** Waits for the end of the brokers that were killed, and starts them again with what they had. */
export async function restartBroker(...nodes: readonly number[]): Promise<void> {
  for (const node of nodes) {
    while ((await context!.host.process(`kafka-${node}`)).state === 'running') await sleep(20);
  }
  await bringUpServers(context!);
}

/** What the tests poll by. */
export const POLL = { recordsMax: 100, bytesMax: 1_000_000, waitMsMax: 100 } as const;

/** Polls until so many records came; fails where they do not within the time. */
export async function pollAtLeast(
  consumer: Consumer,
  count: number,
  waitMsMax = 30_000,
): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  const deadlineMs = performance.now() + waitMsMax;
  while (records.length < count) {
    assert.ok(performance.now() < deadlineMs, `${count} records come, not ${records.length}`);
    records.push(...(await consumer.poll(POLL)));
  }
  return records;
}

/** An environment that no other test has; its topics stay on the broker, which is the tests' alone. */
export function freshEnvironment(): string {
  return `t${randomBytes(6).toString('hex')}`;
}

/** Creates topics by name without prefix, with so many partitions each, and the one of counters. */
export async function createTopics(
  environment: string,
  topics: Readonly<Record<string, number>>,
  connection: KafkaConnection = CONNECTION,
): Promise<void> {
  const admin = openKafkaAdmin(connection, 10_000);
  try {
    const wanted = wantedTopics({
      environment,
      stored: Object.keys(topics),
      internal: [],
      partitions: 1,
      replication: REPLICATION,
      minInsync: MIN_INSYNC,
      retentionMs: 3_600_000,
      recordBytesMax: 8 * 1024 * 1024,
    }).map(topic => {
      const name = topic.topic.slice(environment.length + 1);
      return { ...topic, partitions: topics[name] ?? 1 };
    });
    await admin.applyTopics(planTopics(wanted, await admin.observeTopics(wanted)));
  } finally {
    await admin.close();
  }
}

/** Options of a log of an environment's topics, `alpha` and `beta` where the test names no others. */
export function kafkaLogOptions(
  environment: string,
  options: Partial<KafkaLogOptions> = {},
): KafkaLogOptions {
  return {
    connection: CONNECTION,
    clientPath: CLIENT_PATH,
    environment,
    role: 'test',
    instance: 0,
    topics: ['alpha', 'beta'].map(name => fullTopic(environment, name)),
    plainTopics: [],
    groups: [],
    unmovedGroups: [],
    minInsync: MIN_INSYNC,
    requestMsMax: 5_000,
    queueBytesMax: 64 * 1024 * 1024,
    logger: createLogger(process.env['MILLRACE_TEST_LOG'] ?? 'silent', 'test'),
    ...options,
  };
}

/** A client of another process that writes in transactions, of up to a minute; it is let go when the test ends. */
export async function openProducer(test: TestContext, transactionalId: string): Promise<NativeProducer> {
  const client = loadNativeClient(CLIENT_PATH);
  const settings = { ...producerSettings(CONNECTION), 'transactional.id': transactionalId };
  const producer = new client.Producer({ ...settings, 'transaction.timeout.ms': 60_000 }, {});
  await connectHandle(producer, kafkaLogOptions('test'));
  test.after(() => disconnectHandle(producer));
  producer.setPollInBackground(true);
  await called(callback => producer.initTransactions(30_000, callback));
  return producer;
}

/** Opens a log that is closed when the test ends. */
export async function openTestLog(
  test: TestContext,
  environment: string,
  options: Partial<KafkaLogOptions> = {},
): Promise<ServedLog> {
  const log = await openKafkaLog(kafkaLogOptions(environment, options));
  test.after(() => log.close());
  return log;
}
