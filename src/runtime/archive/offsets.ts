import type { ArchiveStatusDocument } from '../../core/documents.ts';
import type { GroupOffset, Log, LogState } from '../../core/ports.ts';
import { partitionKey } from './open-ranges.ts';

/** The consumer group of the archive. */
export const ARCHIVE_GROUP = 'archive';

/**
 * Counter of the first offset that the archive answers for, followed by the {@link partitionKey}; absent where
 * that is 0. It is larger where records had been retired before the archive first ran.
 */
export const BEGIN_COUNTER = 'archive.begin.';

/** The offset up to which each partition is archived, by {@link partitionKey}. */
export function archivedOffsets(state: LogState): ReadonlyMap<string, number> {
  const own = state.offsets.filter(row => row.group === ARCHIVE_GROUP);
  return new Map(own.map(row => [partitionKey(row.topic, row.partition), row.offset]));
}

/** How far each partition of the topics is archived. */
export function archiveStatus(state: LogState, topics: readonly string[]): ArchiveStatusDocument {
  const archived = archivedOffsets(state);
  return {
    topics: state.topics
      .filter(({ topic }) => topics.includes(topic))
      .flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, startOffset, endOffset }) => ({
          topic,
          partition,
          archivedTo: archived.get(partitionKey(topic, partition)) ?? startOffset,
          endOffset,
        })),
      ),
  };
}

/** Gives every partition that the archive has not met an offset to begin at, and notes it where it is not 0. */
export async function beginPartitions(log: Log, topics: readonly string[]): Promise<void> {
  const state = await log.describe();
  const archived = archivedOffsets(state);
  const offsets: GroupOffset[] = [];
  const counters: Record<string, number> = {};
  for (const { topic, partition, archivedTo } of archiveStatus(state, topics).topics) {
    const key = partitionKey(topic, partition);
    if (archived.has(key)) continue;
    offsets.push({ group: ARCHIVE_GROUP, topic, partition, offset: archivedTo });
    if (archivedTo > 0) counters[`${BEGIN_COUNTER}${key}`] = archivedTo;
  }
  if (offsets.length > 0) await log.commit({ appends: [], offsets, counters });
}

/** Counts the starts of the sink in the log itself, so that the number grows whatever else is lost. */
export async function nextEpoch(log: Log): Promise<number> {
  await log.commit({ appends: [], counters: { 'archive.epoch': 1 } });
  return (await log.describe()).counters['archive.epoch'] ?? 1;
}
