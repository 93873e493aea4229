import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { emptyCounterRecord, encodeCounterRecord } from '../../src/adapters/log/kafka/counter-record.ts';
import { called } from '../../src/adapters/log/kafka/native-client.ts';
import { COUNTERS_TOPIC } from '../../src/adapters/log/kafka/topic-plan.ts';
import type { Consumer, ServedLog } from '../../src/core/ports.ts';
import { fullTopic } from '../../src/core/topics.ts';
import {
  createTopics,
  freshEnvironment,
  openProducer,
  openTestLog,
  pollAtLeast,
  SKIP,
} from './kafka-fixture.ts';
import { recordOf } from './open-log.ts';

const CALL_MS_MAX = 30_000;
/** How long the other process holds its transaction open: what does not wait for it has gone on by then. */
const HELD_MS = 3_000;

/** Holds a transaction open as another process would, its counters written; answers what ends it. */
async function holdTransaction(test: TestContext, environment: string): Promise<() => Promise<void>> {
  const producer = await openProducer(test, `${environment}.test.holder`);
  await called(callback => producer.beginTransaction(callback));
  const value = encodeCounterRecord(emptyCounterRecord());
  producer.produce(fullTopic(environment, COUNTERS_TOPIC), 0, value, 'holder', Date.now(), undefined, []);
  await called(callback => producer.flush(CALL_MS_MAX, callback));
  return () => called(callback => producer.abortTransaction(CALL_MS_MAX, callback));
}

/** Lets something run for a while beside a transaction that another process holds open, then ends that one. */
async function beside<T>(release: () => Promise<void>, running: Promise<T>): Promise<T> {
  await Promise.race([running, sleep(HELD_MS)]);
  await release();
  return running;
}

describe('log on Kafka: sums of a process beside an open transaction of another', { skip: SKIP }, () => {
  it('are taken over by its successor, those of its last transaction too', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 2, beta: 1 });
    const first = await openTestLog(test, environment, { instance: 1 });
    await first.commit({ appends: [], counters: { 'copy.received': 1 } });
    const release = await holdTransaction(test, environment);
    await first.commit({ appends: [], counters: { 'copy.received': 10 } });
    await first.close();
    const second = await openTestLog(test, environment, { instance: 1 });
    await beside(release, second.commit({ appends: [], counters: { 'copy.received': 100 } }));
    assert.equal((await second.describe()).counters['copy.received'], 111);
  });

  it('tell what a group has passed, so that the records of a topic are counted right', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const alpha = fullTopic(environment, 'alpha');
    const open = () => openTestLog(test, environment, { instance: 1, plainTopics: [alpha] });
    const write = async (log: ServedLog) => {
      const records = Array.from({ length: 10 }, (_, i) => recordOf(`${i}`));
      await log.commit({ appends: [{ topic: alpha, partition: 0, records }] });
    };
    const pass = async (log: ServedLog, member: Consumer) => {
      const records = await pollAtLeast(member, 10);
      const offset = records.at(-1)!.offset + 1;
      await log.commit({ appends: [], offsets: [{ group: 'g', topic: alpha, partition: 0, offset }] });
    };
    const first = await open();
    const member = await first.consume('g', [alpha]);
    await write(first);
    await pass(first, member);
    const release = await holdTransaction(test, environment);
    await write(first);
    await pass(first, member);
    await first.close();
    const second = await open();
    const next = await beside(release, second.consume('g', [alpha]));
    await write(second);
    await pass(second, next);
    const { topics, offsets } = await second.describe();
    assert.deepEqual(
      offsets.map(({ offset, passed }) => ({ offset, passed })),
      [{ offset: 30, passed: 30 }],
    );
    assert.equal(topics.find(({ topic }) => topic === alpha)!.partitions[0]!.records, 30);
  });
});
