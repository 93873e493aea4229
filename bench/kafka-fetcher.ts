import { once } from 'node:events';
import { Fetcher } from '../src/adapters/log/kafka/fetcher.ts';
import { openKafkaAdmin } from '../src/adapters/log/kafka/kafka-admin.ts';
import { ReadySignal } from '../src/adapters/log/kafka/ready-signal.ts';
import { createLogger } from '../src/observability/logger.ts';
import type { CopyOrder } from './kafka-copy.ts';

/** Reads what the copier has committed as the pipeline reads, and does nothing with it. See `measureCopy`. */
const [{ connection, output, partitions, events }] = (await once(process, 'message')) as [CopyOrder];
const requestMsMax = 30_000;
const ready = new ReadySignal();
const fetcher = new Fetcher({
  connection,
  admin: openKafkaAdmin(connection, requestMsMax),
  requestMsMax,
  waitMsMax: 100,
  logger: createLogger('warn', 'bench'),
  onReady: () => ready.set(),
});
for (let partition = 0; partition < partitions; partition++) fetcher.add({ topic: output, partition }, 0);
process.send?.('ready');
let count = 0;
// Ends: the copier writes as many.
while (count < events) {
  ready.clear();
  const fetched = fetcher.next();
  count += fetched?.records.length ?? 0;
  if (fetched === undefined) await ready.wait(100);
}
process.send?.('done');
