import { once } from 'node:events';
import { called, consumeReady, loadNativeClient } from '../src/adapters/log/kafka/native-client.ts';
import { ReadySignal } from '../src/adapters/log/kafka/ready-signal.ts';
import type { CopyOrder } from './kafka-copy.ts';
import { readSettings } from './native-read.ts';

/** Reads what the copier has committed by the native client and does nothing with it. See `measureCopy`. */
const [{ connection, clientPath, output, partitions, events }] = (await once(process, 'message')) as [
  CopyOrder,
];
const client = loadNativeClient(clientPath);
const POLL_RECORDS = 1_000;
const ready = new ReadySignal();
const consumer = new client.KafkaConsumer(
  { ...readSettings(connection, 'reader'), queue_non_empty_cb: () => ready.set() },
  {},
);
consumer.setDefaultConsumeTimeout(0);
await called(callback => consumer.connect({ timeout: 30_000 }, callback));
consumer.assign(
  Array.from({ length: partitions }, (_, partition) => ({ topic: output, partition, offset: 0 })),
);
process.send?.('ready');
let count = 0;
// Ends: the copier writes as many.
while (count < events) {
  ready.clear();
  const messages = await consumeReady(consumer, POLL_RECORDS);
  if (messages instanceof Error) throw messages;
  count += messages.length;
  if (messages.length === 0) await ready.wait(100);
}
process.send?.('done');
