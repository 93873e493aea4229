import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NATIVE } from '../src/adapters/log/kafka/kafka-errors.ts';
import { producerSettings, TRANSACTION_SETTINGS } from '../src/adapters/log/kafka/kafka-settings.ts';
import {
  called,
  consumeReady,
  loadNativeClient,
  type NativeConsumer,
  type NativeError,
  type NativeMessage,
  type NativePosition,
  type NativeProducer,
} from '../src/adapters/log/kafka/native-client.ts';
import { benchBatches, EVENTS_PER_BATCH } from './corpus.ts';
import type { CopyOrder } from './kafka-copy.ts';
import { readSettings } from './native-read.ts';

/** Copies each event of a topic to a record of its own in another one, in transactions. See `measureCopy`. */
const [order] = (await once(process, 'message')) as [CopyOrder];
const { connection, input, output, partitions, events, warmUpEvents } = order;
const client = loadNativeClient(order.clientPath);
const CALL_MS_MAX = 30_000;
/** Of input in one transaction, as `environments/services.yaml` has it. */
const BATCH_BYTES = 8 * 1024 * 1024;
const POLL_RECORDS = 100;
const KEY = 'c099086c-0f1a-4f2e-9b1d-5d2b7c1e02d5';

await preload();
process.send?.('ready');
await once(process, 'message');
await copyAll();
process.send?.('done');

/** The batches of the benchmarks, by turns to each partition. */
async function preload(): Promise<void> {
  const producer = new client.Producer(producerSettings(connection), {});
  await connect(producer);
  for (const [index, value] of benchBatches(events).entries()) {
    await produce(() =>
      producer.produce(input, index % partitions, value, null, Date.now(), undefined, undefined),
    );
  }
  await called(callback => producer.flush(CALL_MS_MAX, callback));
  await new Promise<void>(resolve => producer.disconnect(resolve));
}

async function copyAll(): Promise<void> {
  const producer = new client.Producer(
    { ...producerSettings(connection), ...TRANSACTION_SETTINGS, 'transactional.id': 'copier' },
    {},
  );
  await connect(producer);
  producer.setPollInBackground(true);
  await called(callback => producer.initTransactions(CALL_MS_MAX, callback));
  const consumer = new client.KafkaConsumer(readSettings(connection, 'copier'), {});
  consumer.setDefaultConsumeTimeout(0);
  await connect(consumer);
  consumer.assign(
    Array.from({ length: partitions }, (_, partition) => ({ topic: input, partition, offset: 0 })),
  );
  let copied = 0;
  // Ends: as many were preloaded.
  while (copied < events) {
    const before = copied;
    const batch = await readBatch(consumer, (events - copied) / EVENTS_PER_BATCH);
    await called(callback => producer.beginTransaction(callback));
    for (const message of batch) await copy(producer, message);
    const offsets = positionsAfter(batch);
    await called(callback => producer.sendOffsetsToTransaction(offsets, consumer, CALL_MS_MAX, callback));
    await called(callback => producer.commitTransaction(CALL_MS_MAX, callback));
    copied += batch.length * EVENTS_PER_BATCH;
    if (before < warmUpEvents && copied >= warmUpEvents) process.send?.('warm');
  }
}

/** What one transaction takes in; at most so many records are left. */
async function readBatch(consumer: NativeConsumer, left: number): Promise<readonly NativeMessage[]> {
  const batch: NativeMessage[] = [];
  let bytes = 0;
  while (bytes < BATCH_BYTES && batch.length < left) {
    const messages = await consumeReady(consumer, Math.min(POLL_RECORDS, left - batch.length));
    if (messages instanceof Error) throw messages;
    for (const message of messages) {
      batch.push(message);
      bytes += message.value!.length;
    }
    if (messages.length === 0) await sleep(1);
  }
  return batch;
}

/** Cuts a batch into as many equal parts as it has events: where each begins is not Kafka's to find. */
async function copy(producer: NativeProducer, { topic, partition, offset, value }: NativeMessage) {
  const size = Math.floor(value!.length / EVENTS_PER_BATCH);
  for (let index = 0; index < EVENTS_PER_BATCH; index++) {
    const part = value!.subarray(index * size, (index + 1) * size);
    const header = { source: `${topic}:${partition}:${offset}:${index}` };
    await produce(() => producer.produce(output, partition, part, KEY, Date.now(), undefined, [header]));
  }
}

/** Waits where the client's queue is full. */
async function produce(send: () => unknown): Promise<void> {
  // Ends: the client empties its queue meanwhile.
  for (;;) {
    try {
      send();
      return;
    } catch (error) {
      if ((error as NativeError).code !== NATIVE.queueFull) throw error;
      await sleep(5);
    }
  }
}

function positionsAfter(batch: readonly NativeMessage[]): readonly NativePosition[] {
  const next = new Map<number, number>();
  for (const { partition, offset } of batch) next.set(partition, offset + 1);
  return [...next].map(([partition, offset]) => ({ topic: input, partition, offset }));
}

function connect(handle: NativeConsumer | NativeProducer): Promise<void> {
  return called(callback => handle.connect({ timeout: CALL_MS_MAX }, callback));
}
