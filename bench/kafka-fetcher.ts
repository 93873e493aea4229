import { once } from 'node:events';
import { Consumer } from '@platformatic/kafka';
import { adminSettings } from '../src/adapters/log/kafka/kafka-settings.ts';
import type { CopyOrder } from './kafka-copy.ts';

/**
 * Reads what the copier has committed by the client that only administers elsewhere, whose fetches are JavaScript. Its
 * filter is good for this run, in which nothing is aborted: it hands out records of an aborted transaction whose end
 * is not in the same answer. See `measureCopy`.
 */
const [{ connection, output, partitions, events }] = (await once(process, 'message')) as [CopyOrder];
const consumer = new Consumer({ ...adminSettings(connection, 30_000), groupId: 'reader' });
const topic = (await consumer.metadata({ topics: [output] })).topics.get(output)!;
/** Set in batches that hold the end of a transaction, and no records of anybody. */
const IS_CONTROL = 1 << 5;
const FETCH = { node: topic.partitions[0]!.leader, maxWaitTime: 100, minBytes: 1, maxBytes: 8 * 1024 * 1024 };
const positions = Array.from({ length: partitions }, (_, partition) => ({
  partition,
  fetchOffset: 0n,
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1,
  partitionMaxBytes: 1024 * 1024,
}));
process.send?.('ready');
let count = 0;
// Ends: the copier writes as many.
while (count < events) {
  const answer = await consumer.fetch({ ...FETCH, topics: [{ topicId: topic.id, partitions: positions }] });
  for (const { partitionIndex, records: batches } of answer.responses.flatMap(one => one.partitions)) {
    for (const { firstOffset, lastOffsetDelta, attributes, records } of batches ?? []) {
      positions[partitionIndex]!.fetchOffset = firstOffset + BigInt(lastOffsetDelta) + 1n;
      if ((attributes & IS_CONTROL) === 0) count += records.length;
    }
  }
}
process.send?.('done');
