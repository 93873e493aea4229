import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { addPartitionsToTxnV1, Connection, endTxnV1, initProducerIdV2 } from '@platformatic/kafka';
import { hasBrokerCode } from '../../src/adapters/log/kafka/kafka-errors.ts';
import { adminSettings, producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import { fullTopic } from '../../src/core/topics.ts';
import {
  brokerPid,
  CLIENT_PATH,
  CONNECTION,
  createTopics,
  freshEnvironment,
  kafkaLogOptions,
  pollAtLeast,
  SKIP,
} from './kafka-fixture.ts';
import {
  assertCopiedOnce,
  copy,
  FENCED,
  filled,
  forgetNextCommit,
  onNextCommit,
  RECORDS,
  WAIT_MS_MAX,
} from './settled-copies.ts';

/** The protocol's numbers: the transaction's state forbids it; it is still being ended. */
const INVALID_STATE = 48;
const CONCURRENT = 51;

describe('log on Kafka: a commit that may have happened is not made again', { skip: SKIP }, () => {
  afterEach(forgetNextCommit);

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
    const socket = new Connection('test', { sasl: adminSettings(CONNECTION, WAIT_MS_MAX).sasl! });
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
