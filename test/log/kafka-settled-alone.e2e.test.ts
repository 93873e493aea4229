import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { producerSettings } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { called, loadNativeClient } from '../../src/adapters/log/kafka/native-client.ts';
import { connectHandle, disconnectHandle } from '../../src/adapters/log/kafka/native-handles.ts';
import {
  brokerPid,
  CLIENT_PATH,
  CONNECTION,
  kafkaLogOptions,
  pollAtLeast,
  restartBroker,
  SKIP,
} from './kafka-fixture.ts';
import { recordOf, textOf } from './open-log.ts';
import { filled, forgetNextCommit, killAsCommitIsAsked, RECORDS, WAIT_MS_MAX } from './settled-copies.ts';

/** How often each is done; by hand more than once. */
const ROUNDS = Number(process.env['MILLRACE_TEST_KILLS'] ?? 1);

// A broker alone has nobody to take its partitions: what it had open it must settle itself when it is back.
describe('log on a broker alone that is killed: it is back with every transaction settled', {
  skip: SKIP,
}, () => {
  afterEach(forgetNextCommit);

  for (let round = 1; round <= ROUNDS; round++) {
    it(`as it is asked to commit (${round})`, test => killAsCommitIsAsked(test, [1]));

    // The first has timed out before the broker is back, the other times out when it is.
    for (const timeoutMs of [1_000, 8_000]) {
      it(`beside a worker whose transaction of ${timeoutMs} ms is open (${round})`, async test => {
        const { environment, alpha, log, open } = await filled(test);
        await log.close();
        await leaveOpen(environment, alpha, timeoutMs);
        process.kill(await brokerPid(), 'SIGKILL');
        await restartBroker(1);
        const successor = await open();
        await successor.commit({ appends: [{ topic: alpha, partition: 0, records: [recordOf('after')] }] });
        const read = await pollAtLeast(await successor.consume('g', [alpha]), RECORDS + 1, WAIT_MS_MAX);
        assert.deepEqual(read.map(textOf), [...Array.from({ length: RECORDS }, (_, i) => `${i}`), 'after']);
      });
    }
  }
});

/** What a killed worker leaves: a transaction with a record in it that nobody ends. */
async function leaveOpen(environment: string, topic: string, timeoutMs: number): Promise<void> {
  const settings = {
    ...producerSettings(CONNECTION),
    'transactional.id': `${environment}.test.killed`,
    'transaction.timeout.ms': timeoutMs,
  };
  const producer = new (loadNativeClient(CLIENT_PATH).Producer)(settings, {});
  await connectHandle(producer, kafkaLogOptions(environment));
  producer.setPollInBackground(true);
  await called(callback => producer.initTransactions(WAIT_MS_MAX, callback));
  await called(callback => producer.beginTransaction(callback));
  producer.produce(topic, 0, Buffer.from('open'), null, 0, undefined, undefined);
  await called(callback => producer.flush(WAIT_MS_MAX, callback));
  await disconnectHandle(producer);
}
