import assert from 'node:assert/strict';
import { afterEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { addPartitionsToTxnV1, Connection, endTxnV1, initProducerIdV2 } from '@platformatic/kafka';
import { hasBrokerCode } from '../../src/adapters/log/kafka/kafka-errors.ts';
import { producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient, type NativeProducer } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import type { ServedLog } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import {
  brokerPid,
  CLIENT_PATH,
  CONNECTION,
  createTopics,
  freshEnvironment,
  kafkaLogOptions,
  openTestLog,
  POLL,
  pollAtLeast,
  restartBroker,
  SKIP,
} from './kafka-fixture.ts';
import { readSoon, recordOf, textOf } from './open-log.ts';

const FENCED = { code: 'ERR_LOG_FENCED' };
const RECORDS = 20;
const WAIT_MS_MAX = 60_000;
/** The protocol's numbers: the transaction's state forbids it; it is still being ended. */
const INVALID_STATE = 48;
const CONCURRENT = 51;
/** The call of the client that is waylaid: all producers of the process share it. */
const prototype =
  SKIP === false ? (loadNativeClient(CLIENT_PATH).Producer.prototype as NativeProducer) : null;
const commitTransaction = prototype?.commitTransaction;

/** Has something happen as the next commit is asked for, before the client hears of it. */
function onNextCommit(act: () => void): void {
  prototype!.commitTransaction = function (this: NativeProducer, timeoutMs, callback) {
    prototype!.commitTransaction = commitTransaction!;
    act();
    commitTransaction!.call(this, timeoutMs, callback);
  };
}

function copy(log: ServedLog, environment: string, records: readonly LogRecord[]) {
  const { topic, partition, offset } = records.at(-1)!;
  const copies = records.map(record => recordOf(textOf(record)));
  return log.commit({
    appends: [{ topic: fullTopic(environment, 'beta'), partition: 0, records: copies }],
    offsets: [{ group: 'g', topic, partition, offset: offset + 1 }],
    counters: { 'copy.received': records.length },
  });
}

/** An environment with a log, and numbered records in the one partition of `alpha`. */
async function filled(test: TestContext) {
  const environment = freshEnvironment();
  await createTopics(environment, { alpha: 1, beta: 1 });
  const alpha = fullTopic(environment, 'alpha');
  const open = () => openTestLog(test, environment, { plainTopics: [alpha] });
  const log = await open();
  const records = Array.from({ length: RECORDS }, (_, i) => recordOf(`${i}`));
  await log.commit({ appends: [{ topic: alpha, partition: 0, records }] });
  return { environment, alpha, log, open };
}

/** A successor does what is left; then each record must have been copied and counted once. */
async function assertCopiedOnce(
  { environment, alpha }: { readonly environment: string; readonly alpha: string },
  successor: ServedLog,
): Promise<void> {
  const consumer = await successor.consume('g', [alpha]);
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  // Once: it is caught up where nothing more comes.
  while (!consumer.isCaughtUp()) {
    assert.ok(performance.now() < deadlineMs, 'the successor catches up');
    const records = await consumer.poll(POLL);
    if (records.length > 0) await copy(successor, environment, records);
  }
  await consumer.close();
  const wanted = Array.from({ length: RECORDS }, (_, i) => `${i}`);
  const copies = await readSoon(successor, fullTopic(environment, 'beta'), 0, RECORDS);
  assert.deepEqual(copies.map(textOf), wanted);
  const { counters, offsets } = await successor.describe();
  assert.equal(counters['copy.received'], RECORDS);
  assert.deepEqual(
    offsets.map(({ offset, passed }) => ({ offset, passed })),
    [{ offset: RECORDS, passed: RECORDS }],
  );
}

describe('log on Kafka: a commit that may have happened is not made again', { skip: SKIP }, () => {
  afterEach(() => {
    prototype!.commitTransaction = commitTransaction!;
  });

  it('by a process whose commit has no answer', async test => {
    const { environment, alpha, log, open } = await filled(test);
    const records = await pollAtLeast(await log.consume('g', [alpha]), RECORDS, WAIT_MS_MAX);
    const pid = await brokerPid();
    test.after(() => process.kill(pid, 'SIGCONT'));
    // The records and offsets are on their way; what is asked for lies in the broker's socket until it goes on.
    onNextCommit(() => process.kill(pid, 'SIGSTOP'));
    await assert.rejects(copy(log, environment, records), FENCED);
    process.kill(pid, 'SIGCONT');
    await assert.rejects(copy(log, environment, records), FENCED);
    await log.close();
    await assertCopiedOnce({ environment, alpha }, await open());
  });

  it('by a process whose broker is killed as it asks', async test => {
    const { environment, alpha, log, open } = await filled(test);
    const records = await pollAtLeast(await log.consume('g', [alpha]), RECORDS, WAIT_MS_MAX);
    const pid = await brokerPid();
    onNextCommit(() => process.kill(pid, 'SIGKILL'));
    const committed = copy(log, environment, records);
    // The client goes on with a broker that has come back in time, so either end is right; the copies tell.
    await Promise.all([restartBroker(), committed.catch(error => assert.equal(error.code, FENCED.code))]);
    await log.close();
    await assertCopiedOnce({ environment, alpha }, await open());
  });

  it('by the client: what it was asked to commit it refuses to abort', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1 });
    const settings = { ...producerSettings(CONNECTION), 'transactional.id': `${environment}.test.client` };
    const producer = new (loadNativeClient(CLIENT_PATH).Producer)(settings, {});
    await connectHandle(producer, kafkaLogOptions(environment));
    test.after(() => disconnectHandle(producer));
    producer.setPollInBackground(true);
    await called(callback => producer.initTransactions(WAIT_MS_MAX, callback));
    await called(callback => producer.beginTransaction(callback));
    producer.produce(fullTopic(environment, 'alpha'), 0, Buffer.from('x'), null, 0, undefined, undefined);
    await called(callback => producer.flush(WAIT_MS_MAX, callback));
    const pid = await brokerPid();
    process.kill(pid, 'SIGSTOP');
    try {
      await assert.rejects(called(callback => producer.commitTransaction(500, callback)));
      await assert.rejects(
        called(callback => producer.abortTransaction(500, callback)),
        /Conflicting commit_transaction/,
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await called(callback => producer.commitTransaction(WAIT_MS_MAX, callback));
  });

  it('by the brokers: what they have committed they refuse to abort, and the other way round', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1 });
    const [host, port] = CONNECTION.brokers[0]!.split(':') as [string, string];
    const socket = new Connection('test');
    await socket.connect(host, Number(port));
    test.after(() => socket.close());
    for (const isFirst of [true, false]) {
      const id = `${environment}.test.${isFirst}`;
      const begun = await settled(() => initProducerIdV2.api.async(socket, id, 60_000));
      const { producerId, producerEpoch } = begun;
      const topics = [{ name: fullTopic(environment, 'alpha'), partitions: [0] }];
      const added = { transactionalId: id, producerId, producerEpoch, verifyOnly: false, topics };
      await settled(() => addPartitionsToTxnV1.api.async(socket, [added]));
      const end = (isCommit: boolean) =>
        settled(() => endTxnV1.api.async(socket, id, producerId, producerEpoch, isCommit));
      await end(isFirst);
      await assert.rejects(end(!isFirst), error => hasBrokerCode(error, INVALID_STATE));
      // The answer that was lost is given again.
      await end(isFirst);
    }
  });
});

/** A call, again while the brokers are busy with the transaction. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  // Ends with an answer, another error, or at the deadline.
  while (true) {
    try {
      return await call();
    } catch (error) {
      const isBusy = [14, 15, 16, CONCURRENT].some(code => hasBrokerCode(error, code));
      if (!isBusy || performance.now() > deadlineMs) throw error;
      await sleep(50);
    }
  }
}
