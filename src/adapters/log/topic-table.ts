import { assert, MillraceError } from '../../core/errors.ts';
import type { Commit, TopicSpec } from '../../core/ports.ts';

/** The declared topics by full name. */
export class TopicTable {
  readonly specs: readonly TopicSpec[];
  readonly #partitions: ReadonlyMap<string, number>;

  constructor(specs: readonly TopicSpec[]) {
    for (const { partitions } of specs) assert(partitions >= 1, 'a topic has at least one partition');
    this.specs = specs;
    this.#partitions = new Map(specs.map(({ topic, partitions }) => [topic, partitions]));
    assert(this.#partitions.size === specs.length, 'a topic is declared once');
  }

  /** Partitions of a topic; throws ERR_TOPIC_UNKNOWN. */
  partitionCount(topic: string): number {
    const count = this.#partitions.get(topic);
    if (count === undefined) throw new MillraceError('ERR_TOPIC_UNKNOWN', topic);
    return count;
  }

  has(topic: string): boolean {
    return this.#partitions.has(topic);
  }

  /** Throws ERR_TOPIC_UNKNOWN, or fails the assertion that the partition exists. */
  checkPartition(topic: string, partition: number): void {
    const count = this.partitionCount(topic);
    assert(
      Number.isInteger(partition) && partition >= 0 && partition < count,
      `${topic} has ${count} partitions`,
    );
  }

  /** Throws what makes a commit impossible before any of it is kept. */
  checkCommit(commit: Commit): void {
    for (const { topic, partition } of commit.appends) this.checkPartition(topic, partition);
    for (const { topic, partition, offset } of commit.offsets ?? []) {
      this.checkPartition(topic, partition);
      assert(Number.isSafeInteger(offset) && offset >= 0, 'a group offset is a whole number');
    }
  }
}
