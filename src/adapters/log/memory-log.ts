import { assert, MillraceError } from '../../core/errors.ts';
import type {
  Commit,
  CommitResult,
  Consumer,
  GroupOffset,
  LogState,
  PollLimit,
  TopicSpec,
} from '../../core/ports.ts';
import type { LogRecord } from '../../core/record.ts';
import type { CommittedMarks, OwnedLog } from './log-contract.ts';
import { decodeRecords, encodeRecords, recordBytes } from './record-codec.ts';
import { TopicTable } from './topic-table.ts';

/**
 * A log in memory with the semantics of the embedded one but for files: nothing survives it, nothing is
 * retired. Records go through the journal's own encoding, so that what it hands out is what the embedded log
 * would. Memory grows with every commit: for tests and simulation.
 */
export function openMemoryLog(topics: readonly TopicSpec[]): OwnedLog {
  return new MemoryLog(topics);
}

class MemoryLog implements OwnedLog {
  readonly #topics: TopicTable;
  readonly #records = new Map<string, LogRecord[]>();
  readonly #offsets = new Map<string, GroupOffset>();
  readonly #counters = new Map<string, number>();
  readonly #marks: CommittedMarks[] = [];
  readonly #consumers = new Set<MemoryConsumer>();
  #position = 0;
  #closed = false;

  constructor(topics: readonly TopicSpec[]) {
    this.#topics = new TopicTable(topics);
    for (const { topic, partitions } of topics) {
      for (let partition = 0; partition < partitions; partition++) {
        this.#records.set(placeOf(topic, partition), []);
      }
    }
  }

  partitionCount(topic: string): number {
    return this.#topics.partitionCount(topic);
  }

  async commit(commit: Commit): Promise<CommitResult> {
    this.#checkOpen();
    this.#topics.checkCommit(commit);
    const baseOffsets = commit.appends.map(({ topic, partition, records }) => {
      const stored = this.recordsOf(topic, partition);
      const offset = stored.length;
      const bytes = Buffer.from(encodeRecords(records).buffer);
      for (const record of decodeRecords(bytes, records.length, { topic, partition, offset })) {
        stored.push(record);
      }
      return offset;
    });
    for (const row of commit.offsets ?? [])
      this.#offsets.set(`${row.group} ${placeOf(row.topic, row.partition)}`, row);
    for (const [name, delta] of Object.entries(commit.counters ?? {})) {
      this.#counters.set(name, (this.#counters.get(name) ?? 0) + delta);
    }
    const position = ++this.#position;
    if (commit.marks?.byteLength) this.#marks.push({ position, marks: commit.marks.slice() });
    for (const consumer of this.#consumers) consumer.wake();
    return { baseOffsets, position };
  }

  async consume(group: string, topics: readonly string[]): Promise<Consumer> {
    this.#checkOpen();
    const missing: GroupOffset[] = [];
    for (const topic of topics) {
      for (let partition = 0; partition < this.partitionCount(topic); partition++) {
        const known = this.#offsets.has(`${group} ${placeOf(topic, partition)}`);
        if (!known) missing.push({ group, topic, partition, offset: 0 });
      }
    }
    if (missing.length > 0) await this.commit({ appends: [], offsets: missing });
    const rows = [...this.#offsets.values()].filter(row => row.group === group && topics.includes(row.topic));
    const consumer = new MemoryConsumer(this, rows, () => this.#consumers.delete(consumer));
    this.#consumers.add(consumer);
    return consumer;
  }

  async read(
    topic: string,
    partition: number,
    fromOffset: number,
    recordsMax: number,
  ): Promise<readonly LogRecord[]> {
    this.#checkOpen();
    this.#topics.checkPartition(topic, partition);
    return this.recordsOf(topic, partition)
      .slice(fromOffset, fromOffset + recordsMax)
      .map(copyOf);
  }

  async *marksFrom(position: number): AsyncIterable<CommittedMarks> {
    for (const entry of this.#marks) if (entry.position > position) yield entry;
  }

  async describe(): Promise<LogState> {
    const topics = this.#topics.specs.map(({ topic, partitions }) => ({
      topic,
      partitions: Array.from({ length: partitions }, (_, partition) => {
        const records = this.recordsOf(topic, partition);
        const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
        return { partition, startOffset: 0, endOffset: records.length, records: records.length, bytes };
      }),
    }));
    const bytes = topics.reduce(
      (sum, topic) => sum + topic.partitions.reduce((part, at) => part + at.bytes, 0),
      0,
    );
    const offsets = [...this.#offsets.values()];
    return { topics, offsets, counters: Object.fromEntries(this.#counters), quarantined: [], bytes };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const consumer of this.#consumers) await consumer.close();
  }

  /** Nothing is ever retired, so there is nothing to keep. */
  keepFrom(): void {}

  admission(): MillraceError | null {
    return this.#closed ? new MillraceError('ERR_LOG_CLOSED', 'the log is closed') : null;
  }

  isIdle(): boolean {
    return [...this.#consumers].every(consumer => consumer.hasComeBack());
  }

  /** The stored records of a partition, all of them, offset order. */
  recordsOf(topic: string, partition: number): LogRecord[] {
    return this.#records.get(placeOf(topic, partition)) ?? [];
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
  }
}

class MemoryConsumer implements Consumer {
  readonly #log: MemoryLog;
  readonly #places: { readonly topic: string; readonly partition: number; offset: number }[];
  readonly #onClose: () => void;
  #wake: (() => void) | null = null;
  #idle = true;
  #closed = false;

  constructor(log: MemoryLog, rows: readonly GroupOffset[], onClose: () => void) {
    this.#log = log;
    this.#places = rows.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
    this.#onClose = onClose;
  }

  async poll(limit: PollLimit): Promise<readonly LogRecord[]> {
    assert(this.#wake === null, 'one poll at a time');
    if (this.#closed) throw new MillraceError('ERR_LOG_CLOSED', 'the consumer is closed');
    this.#idle = this.isCaughtUp();
    if (this.#idle && limit.waitMsMax > 0) await this.#wait(limit.waitMsMax);
    return this.#take(limit);
  }

  isCaughtUp(): boolean {
    return this.#places.every(
      place => place.offset >= this.#log.recordsOf(place.topic, place.partition).length,
    );
  }

  /** True when the last poll began with nothing to hand out and nothing came since. */
  hasComeBack(): boolean {
    return this.#idle && this.isCaughtUp();
  }

  wake(): void {
    if (!this.isCaughtUp()) this.#wake?.();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onClose();
    this.#wake?.();
  }

  async #wait(waitMs: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  #take(limit: PollLimit): readonly LogRecord[] {
    const taken: LogRecord[] = [];
    let bytes = 0;
    for (const place of this.#places) {
      const stored = this.#log.recordsOf(place.topic, place.partition);
      while (place.offset < stored.length && taken.length < limit.recordsMax) {
        if (taken.length > 0 && bytes >= limit.bytesMax) break;
        const record = copyOf(stored[place.offset]!);
        bytes += recordBytes(record);
        place.offset += 1;
        taken.push(record);
      }
    }
    if (taken.length > 0) this.#idle = false;
    return taken;
  }
}

function placeOf(topic: string, partition: number): string {
  return `${topic}:${partition}`;
}

function copyOf(record: LogRecord): LogRecord {
  return { ...record, value: Buffer.from(record.value) };
}
