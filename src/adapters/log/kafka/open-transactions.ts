import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../core/errors.ts';
import type { TopicSpec } from '../../../core/ports.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { TRANSACTION_MS_MAX } from './kafka-settings.ts';

/** Brokers look for transactions that have timed out each 10 s, unless they are told otherwise. */
const OPEN_MS_MAX = TRANSACTION_MS_MAX + 10_000 + 2_000;
const LOOK_MS = 500;

/**
 * Throws ERR_TRANSACTION_OPEN where readers of committed records stand still at a transaction that is open for longer
 * than brokers leave one open. Answers at once where none is open, else when each has ended or another one has begun.
 */
export async function checkOpenTransactions(admin: KafkaAdmin, topics: readonly TopicSpec[]): Promise<void> {
  const endMs = performance.now() + OPEN_MS_MAX;
  let stuck = await admin.openAt(topics);
  while (stuck.size > 0 && performance.now() < endMs) {
    await sleep(LOOK_MS);
    const now = await admin.openAt(topics);
    stuck = new Map([...stuck].filter(([partition, offset]) => now.get(partition) === offset));
  }
  if (stuck.size === 0) return;
  const places = [...stuck].map(([partition, offset]) => `${partition} at offset ${offset}`);
  const more = places.length === 1 ? '' : `, and ${places.length - 1} more`;
  throw new MillraceError('ERR_TRANSACTION_OPEN', `nothing is read past ${places[0]}${more}`);
}
