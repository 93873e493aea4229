import { assert } from '../../core/errors.ts';
import type { GroupOffset } from '../../core/ports.ts';
import type { ConsumerStart } from './journal-consumer.ts';
import { heldOf, type LogIndex, type SegmentSummary } from './log-index.ts';
import { CONSUMERS_MAX, type SharedPositions } from './shared-positions.ts';
import type { TopicTable } from './topic-table.ts';

interface OpenConsumer {
  readonly group: string;
  readonly topics: readonly string[];
}

/**
 * Who reads the log and how far they are. A group counts from its first `consume` on, also in later runs, for
 * its offsets are in the log: a sink that has yet to start again is behind, not absent.
 */
export class ConsumerGroups {
  readonly #index: LogIndex;
  readonly #positions: SharedPositions;
  readonly #topics: TopicTable;
  /** Groups of earlier runs that still count; null for all. */
  readonly #kept: ReadonlySet<string> | null;
  readonly #open = new Map<number, OpenConsumer>();
  /** Topics of each group that was opened in this run. */
  readonly #subscribed = new Map<string, Set<string>>();

  constructor(options: {
    readonly index: LogIndex;
    readonly positions: SharedPositions;
    readonly topics: TopicTable;
    readonly groups: readonly string[] | undefined;
  }) {
    this.#index = options.index;
    this.#positions = options.positions;
    this.#topics = options.topics;
    this.#kept = options.groups === undefined ? null : new Set(options.groups);
  }

  /** The offsets a group lacks to be known to the log: the first held ones of its topics' partitions. */
  missingOffsets(group: string, topics: readonly string[]): readonly GroupOffset[] {
    return topics.flatMap(topic =>
      Array.from({ length: this.#topics.partitionCount(topic) }, (_, partition) => partition)
        .filter(partition => this.#index.groupOffset(group, topic, partition) === undefined)
        .map(partition => ({ group, topic, partition, offset: this.#index.startOffset(topic, partition) })),
    );
  }

  /** Opens a consumer at the oldest segment with a record that its group has not committed. */
  open(group: string, topics: readonly string[]): ConsumerStart {
    let slot = 0;
    while (this.#open.has(slot)) slot += 1;
    assert(slot < CONSUMERS_MAX, `at most ${CONSUMERS_MAX} consumers are open at once`);
    const subscribed = this.#subscribed.get(group) ?? new Set();
    for (const topic of topics) subscribed.add(topic);
    this.#subscribed.set(group, subscribed);
    this.#open.set(slot, { group, topics });
    const offsets = this.#offsetsOf(group).filter(row => topics.includes(row.topic));
    const address = this.#uncommittedFrom(offsets);
    this.#positions.setConsumerAt(slot, address);
    return { slot, address, offsets };
  }

  close(slot: number): void {
    this.#open.delete(slot);
  }

  /** True when no group has anything left to be handed, and all have come back from what they were handed. */
  isIdle(): boolean {
    return this.#counting().every(group => this.#reachedBy(group) >= this.#index.address);
  }

  /** The group that is furthest behind, and by how many bytes of the journal; null where none is. */
  slowest(): { readonly group: string; readonly bytes: number } | null {
    let slowest: { readonly group: string; readonly bytes: number } | null = null;
    for (const group of this.#counting()) {
      const bytes = this.#index.address - this.#reachedBy(group);
      if (bytes > (slowest?.bytes ?? 0)) slowest = { group, bytes };
    }
    return slowest;
  }

  /** A group that has yet to commit past a record of the segment; null where all have. */
  heldBackBy(segment: SegmentSummary): string | null {
    for (const group of this.#counting()) {
      const isBehind = this.#offsetsOf(group).some(
        row => row.offset < (heldOf(segment, row.topic, row.partition)?.next ?? 0),
      );
      if (isBehind) return group;
    }
    return null;
  }

  /** Groups opened in this run, and those of earlier runs that count. */
  #counting(): readonly string[] {
    const groups = new Set(this.#subscribed.keys());
    for (const { group } of this.#index.groupOffsets()) {
      if (this.#kept === null || this.#kept.has(group)) groups.add(group);
    }
    return [...groups];
  }

  /** Address below which a group is done: by its open consumers, else by its committed offsets. */
  #reachedBy(group: string): number {
    const open = [...this.#open].filter(([, consumer]) => consumer.group === group);
    if (open.length === 0) return this.#uncommittedFrom(this.#offsetsOf(group));
    const reached = open.map(([slot, { topics }]) => {
      const at = this.#positions.consumerAt(slot);
      return this.#positions.holdsBeyond(topics, at) ? at : this.#index.address;
    });
    return Math.min(...reached);
  }

  /** Offsets of a group, of its topics of this run where it was opened, else of all that are declared. */
  #offsetsOf(group: string): readonly GroupOffset[] {
    const subscribed = this.#subscribed.get(group);
    return [...this.#index.groupOffsets()]
      .filter(row => row.group === group && (subscribed?.has(row.topic) ?? this.#topics.has(row.topic)))
      .map(row => ({ ...row, offset: this.#index.readableFrom(row.topic, row.partition, row.offset) }));
  }

  #uncommittedFrom(offsets: readonly GroupOffset[]): number {
    const addresses = offsets.map(row => this.#index.spanOf(row.topic, row.partition, row.offset)?.from);
    return Math.min(this.#index.address, ...addresses.map(address => address ?? this.#index.address));
  }
}
