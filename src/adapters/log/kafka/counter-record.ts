import { assert } from '../../../core/errors.ts';
import type { GroupOffset } from '../../../core/ports.ts';

/**
 * How far a group is in a partition, as one process wrote it: `epoch` counts the times that the group's offset
 * was set from outside its members; `passed` are the data records that this process has passed in the epoch, or,
 * by whoever set it, all that lie before the offset.
 */
export type ProgressRow = readonly [epoch: number, offset: number, passed: number];

/**
 * What a process has done since it first ran under its transactional id, written with every transaction of it.
 * Everything is a sum or replaces what was before, so that the last record of each id is all there is to know.
 */
export interface CounterRecord {
  readonly counters: Record<string, number>;
  /** Data records written by transactions, by topic and partition. */
  readonly written: Record<string, number[]>;
  /** By group, topic and partition. */
  readonly groups: Record<string, Record<string, Record<string, ProgressRow>>>;
}

/** A record of a process that has done nothing. */
export function emptyCounterRecord(): CounterRecord {
  return { counters: {}, written: {}, groups: {} };
}

/** Bytes of a record. */
export function encodeCounterRecord(record: CounterRecord): Buffer {
  return Buffer.from(JSON.stringify(record), 'utf8');
}

/** Reads what {@link encodeCounterRecord} wrote. */
export function decodeCounterRecord(bytes: Uint8Array): CounterRecord {
  const record = JSON.parse(Buffer.from(bytes).toString('utf8')) as CounterRecord;
  assert(typeof record?.counters === 'object' && typeof record.groups === 'object', 'a record of counters');
  return record;
}

/** Adds deltas, in place. */
export function addTo(record: CounterRecord, counters: Readonly<Record<string, number>>): void {
  for (const [name, delta] of Object.entries(counters)) {
    record.counters[name] = (record.counters[name] ?? 0) + delta;
  }
}

/** Adds records written to a partition, in place. */
export function addWritten(record: CounterRecord, topic: string, partition: number, count: number): void {
  record.written[topic] ??= [];
  const counts = record.written[topic];
  while (counts.length <= partition) counts.push(0);
  counts[partition]! += count;
}

/** The row of a group in a partition; undefined where the process has none. */
export function progressOf(record: CounterRecord, row: Omit<GroupOffset, 'offset'>): ProgressRow | undefined {
  return record.groups[row.group]?.[row.topic]?.[row.partition];
}

/** Replaces the row of a group in a partition, in place. */
export function setProgress(
  record: CounterRecord,
  row: Omit<GroupOffset, 'offset'>,
  progress: ProgressRow,
): void {
  record.groups[row.group] ??= {};
  const topics = record.groups[row.group]!;
  topics[row.topic] ??= {};
  topics[row.topic]![row.partition] = progress;
}

/** How far a group is in a partition, by all processes together. */
export interface Progress extends GroupOffset {
  readonly epoch: number;
  /** Data records before the offset. */
  readonly passed: number;
}

/** All processes' records together. */
export class CounterSums {
  readonly counters: Record<string, number> = {};
  readonly #written = new Map<string, number>();
  readonly #progress = new Map<string, Progress>();

  constructor(records: Iterable<CounterRecord>) {
    for (const record of records) this.#add(record);
  }

  get progress(): Iterable<Progress> {
    return this.#progress.values();
  }

  /** Data records that transactions wrote to a partition. */
  writtenTo(topic: string, partition: number): number {
    return this.#written.get(`${topic}:${partition}`) ?? 0;
  }

  progressOf(row: Omit<GroupOffset, 'offset'>): Progress | undefined {
    return this.#progress.get(`${row.group} ${row.topic}:${row.partition}`);
  }

  #add(record: CounterRecord): void {
    for (const [name, sum] of Object.entries(record.counters)) {
      this.counters[name] = (this.counters[name] ?? 0) + sum;
    }
    for (const [topic, counts] of Object.entries(record.written)) {
      for (const [partition, count] of counts.entries()) {
        this.#written.set(`${topic}:${partition}`, this.writtenTo(topic, partition) + count);
      }
    }
    for (const [group, topics] of Object.entries(record.groups)) {
      for (const [topic, partitions] of Object.entries(topics)) {
        for (const [partition, row] of Object.entries(partitions)) {
          this.#addProgress({ group, topic, partition: Number(partition) }, row);
        }
      }
    }
  }

  /** Within an epoch offsets only grow and what was passed adds up; an older epoch says nothing any more. */
  #addProgress(place: Omit<GroupOffset, 'offset'>, [epoch, offset, passed]: ProgressRow): void {
    const key = `${place.group} ${place.topic}:${place.partition}`;
    const known = this.#progress.get(key);
    if (known !== undefined && known.epoch > epoch) return;
    const isSame = known?.epoch === epoch;
    this.#progress.set(key, {
      ...place,
      epoch,
      offset: isSame ? Math.max(known.offset, offset) : offset,
      passed: (isSame ? known.passed : 0) + passed,
    });
  }
}
