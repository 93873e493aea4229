import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fetched, Fetcher } from '../../src/adapters/log/kafka/fetcher.ts';
import { openKafkaAdmin } from '../../src/adapters/log/kafka/kafka-admin.ts';
import { consumerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient, type NativeProducer } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import { ReadySignal } from '../../src/adapters/log/kafka/ready-signal.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { createRandom } from '../e2e/load.ts';
import {
  CLIENT_PATH,
  CONNECTION,
  createTopics,
  freshEnvironment,
  kafkaLogOptions,
  openProducer,
  openTestLog,
  pollAtLeast,
  SKIP,
} from './kafka-fixture.ts';

const CALL_MS_MAX = 30_000;
/** The client waits for such a transaction by itself; this is longer than the log lets it. */
const [REQUEST_MS_MAX, HELD_MS] = [1_000, 3_000];
/** A fetch takes 1 MiB of a partition: an aborted transaction's end comes with a later one. */
const VALUE_BYTES = 150_000;
const LIMIT = { recordsMax: 7, bytesMax: 2_000_000, waitMsMax: 50 } as const;

/**
 * Writes records of transactions that overlap, each durable before the next, half of them aborted. Answers the names of
 * those that were committed, in the order of the log.
 */
async function writeOverlapping(
  producers: readonly NativeProducer[],
  topic: string,
  random: () => number,
): Promise<readonly string[]> {
  const open = new Map<NativeProducer, string[]>();
  const aborted = new Set<string>();
  const names: string[] = [];
  const end = async (producer: NativeProducer) => {
    const written = open.get(producer)!;
    open.delete(producer);
    if (random() < 0.5) {
      await called(callback => producer.abortTransaction(CALL_MS_MAX, callback));
      for (const name of written) aborted.add(name);
    } else await called(callback => producer.commitTransaction(CALL_MS_MAX, callback));
  };
  for (let i = 0; i < 80; i++) {
    const producer = producers[Math.floor(random() * producers.length)]!;
    if (!open.has(producer)) {
      await called(callback => producer.beginTransaction(callback));
      open.set(producer, []);
    }
    const name = `record ${i}`;
    producer.produce(topic, 0, randomBytes(VALUE_BYTES), name, Date.now(), undefined, []);
    await called(callback => producer.flush(CALL_MS_MAX, callback));
    open.get(producer)!.push(name);
    names.push(name);
    if (random() < 0.2) await end(producer);
  }
  for (const producer of [...open.keys()]) await end(producer);
  return names.filter(name => !aborted.has(name));
}

const keysOf = (records: readonly LogRecord[]) => records.map(({ key }) => key);

/** Reads a partition by a fetcher of its own until its end was told. */
async function readToEnd(
  test: TestContext,
  topic: string,
  fromOffset: number,
): Promise<readonly LogRecord[]> {
  const ready = new ReadySignal();
  const admin = openKafkaAdmin(CONNECTION, 5_000);
  const fetcher = new Fetcher({
    ...kafkaLogOptions('test'),
    admin,
    waitMsMax: 100,
    onReady: () => ready.set(),
  });
  test.after(() => Promise.all([fetcher.close(), admin.close()]));
  fetcher.add({ topic, partition: 0 }, fromOffset);
  const records: LogRecord[] = [];
  const deadlineMs = performance.now() + 20_000;
  for (let fetched: Fetched | undefined; fetched?.end === undefined; ) {
    assert.ok(performance.now() < deadlineMs, 'the end is told');
    ready.clear();
    fetched = fetcher.next();
    records.push(...(fetched?.records ?? []));
    if (fetched === undefined) await ready.wait(100);
  }
  return records;
}

describe('log on Kafka: fetches', { skip: SKIP }, () => {
  it('hand out what was committed, once and in order, of transactions longer than a fetch', async test => {
    const seed = Number(process.env['MILLRACE_SEED'] ?? randomBytes(4).readUInt32LE());
    test.diagnostic(`seed ${seed}`);
    const random = createRandom(seed);
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const topic = fullTopic(environment, 'alpha');
    const log = await openTestLog(test, environment);
    const producers = await Promise.all(
      [0, 1, 2].map(id => openProducer(test, `${environment}.writer.${id}`)),
    );
    const consumer = await log.consume('reader', [topic]);
    const writing = writeOverlapping(producers, topic, random);
    const read: LogRecord[] = [];
    let isWriting = true;
    writing.finally(() => {
      isWriting = false;
    });
    while (isWriting) read.push(...(await consumer.poll(LIMIT)));
    const committed = await writing;
    read.push(...(await pollAtLeast(consumer, committed.length - read.length)));
    assert.deepEqual(keysOf(read), committed, `seed ${seed}`);
    assert.deepEqual(await consumer.poll(LIMIT), []);
    for (const from of [0, 1, 17, 40, 79]) {
      const expected = committed.filter((_, index) => read[index]!.offset >= from);
      assert.deepEqual(keysOf(await readToEnd(test, topic, from)), expected, `seed ${seed}, from ${from}`);
    }
    await consumer.close();
  });

  it('come to every partition, also where each record is larger than a share of an answer', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 3, beta: 1 });
    const topic = fullTopic(environment, 'alpha');
    const log = await openTestLog(test, environment);
    for (const partition of [0, 1, 2]) {
      const records = Array.from({ length: 6 }, (_, i) => ({
        key: `${partition}:${i}`,
        timeMs: Date.now(),
        headers: {},
        value: randomBytes(2_500_000),
      }));
      await log.commit({ appends: [{ topic, partition, records }] });
    }
    const consumer = await log.consume('reader', [topic]);
    const read = await pollAtLeast(consumer, 18);
    for (const partition of [0, 1, 2]) {
      const keys = keysOf(read.filter(record => record.partition === partition));
      assert.deepEqual(
        keys,
        Array.from({ length: 6 }, (_, i) => `${partition}:${i}`),
      );
    }
    await consumer.close();
  });

  it('begin where a transaction that holds offsets of the group is settled, not before', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const topic = fullTopic(environment, 'alpha');
    const log = await openTestLog(test, environment, { requestMsMax: REQUEST_MS_MAX });
    const records = ['a', 'b', 'c'].map(key => ({
      key,
      timeMs: Date.now(),
      headers: {},
      value: Buffer.from(key),
    }));
    await log.commit({ appends: [{ topic, partition: 0, records }] });
    const producer = await openProducer(test, `${environment}.writer`);
    const client = loadNativeClient(CLIENT_PATH);
    const native = new client.KafkaConsumer(
      consumerSettings(CONNECTION, fullTopic(environment, 'reader')),
      {},
    );
    await connectHandle(native, kafkaLogOptions(environment));
    await called(callback => producer.beginTransaction(callback));
    const offsets = [{ topic, partition: 0, offset: 2 }];
    await called(callback => producer.sendOffsetsToTransaction(offsets, native, CALL_MS_MAX, callback));
    await disconnectHandle(native);
    const joining = log.consume('reader', [topic]);
    await sleep(HELD_MS);
    await called(callback => producer.commitTransaction(CALL_MS_MAX, callback));
    const consumer = await joining;
    assert.deepEqual(keysOf(await pollAtLeast(consumer, 1)), ['c']);
    await consumer.close();
  });

  it('begin at the first record where the offset is past the end', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const topic = fullTopic(environment, 'alpha');
    const log = await openTestLog(test, environment);
    const records = ['a', 'b'].map(key => ({
      key,
      timeMs: Date.now(),
      headers: {},
      value: Buffer.from(key),
    }));
    await log.commit({ appends: [{ topic, partition: 0, records }] });
    assert.deepEqual(keysOf(await readToEnd(test, topic, 1_000)), ['a', 'b']);
  });
});
