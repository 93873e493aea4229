import { parentPort, workerData } from 'node:worker_threads';
import type { SharedLog } from '../../src/adapters/log/log-contract.ts';
import { connectLog } from '../../src/adapters/log/remote-log.ts';
import { recordOf, textOf } from './open-log.ts';

// Copies alpha to beta, one commit a poll, until it is ended from outside.
const log = connectLog(workerData as SharedLog);
const consumer = await log.consume('copy', ['alpha']);
parentPort!.postMessage('ready');
for (;;) {
  const records = await consumer.poll({ recordsMax: 100, bytesMax: 1e6, waitMsMax: 10_000 });
  if (records.length === 0) continue;
  const copies = records.map(record => recordOf(`copy of ${textOf(record)}`));
  const offsets = records.map(({ topic, partition, offset }) => ({
    group: 'copy',
    topic,
    partition,
    offset: offset + 1,
  }));
  await log.commit({ appends: [{ topic: 'beta', partition: 0, records: copies }], offsets });
}
