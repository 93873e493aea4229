import { assert } from '../../core/errors.ts';
import type { GroupOffset, PartitionState, QuarantinedRange } from '../../core/ports.ts';
import type { FrameMeta, Section, Snapshot } from './frame.ts';

/** What the log knows of a partition whatever is still held of it. */
export interface PartitionHead {
  next: number;
  records: number;
}

/** What a segment holds of a partition: `[first, next)`, `bytes` of records, the last frame of them ending at `end`. */
export interface HeldRange {
  readonly partition: number;
  readonly first: number;
  next: number;
  bytes: number;
  end: number;
}

/** One segment: addresses `[base, end)`, the time of its last frame, its records by topic. */
export interface SegmentSummary {
  readonly base: number;
  end: number;
  lastTimeMs: number;
  readonly held: Map<string, HeldRange[]>;
}

/**
 * Everything the owner of a log knows besides the records: one entry per partition, group offset, counter and
 * segment, never one per record. Changed only by what is durable.
 */
export class LogIndex {
  /** Address where the next frame goes; everything below is durable. */
  address = 0;
  readonly topics = new Map<string, PartitionHead[]>();
  readonly counters = new Map<string, number>();
  /** Addresses from which on someone keeps the journal, by name. */
  readonly pins = new Map<string, number>();
  readonly segments: SegmentSummary[] = [];
  readonly #offsets = new Map<string, GroupOffset>();
  readonly #quarantined: QuarantinedRange[] = [];

  /** Head of a partition; made where there is none yet. */
  head(topic: string, partition: number): PartitionHead {
    const heads = this.topics.get(topic) ?? [];
    this.topics.set(topic, heads);
    while (heads.length <= partition) heads.push({ next: 0, records: 0 });
    return heads[partition]!;
  }

  /** The committed offset of a group; undefined where it has none. */
  groupOffset(group: string, topic: string, partition: number): number | undefined {
    return this.#offsets.get(offsetKey(group, topic, partition))?.offset;
  }

  groupOffsets(): IterableIterator<GroupOffset> {
    return this.#offsets.values();
  }

  quarantined(): readonly QuarantinedRange[] {
    return this.#quarantined;
  }

  /** Starts a segment at `base`; it becomes the last one. */
  addSegment(base: number): SegmentSummary {
    const last = this.segments.at(-1);
    assert(last === undefined || base >= last.end, 'segments do not overlap');
    const summary: SegmentSummary = { base, end: base, lastTimeMs: 0, held: new Map() };
    this.segments.push(summary);
    return summary;
  }

  /** Takes a frame of the last segment in: its end, time, sections, group offsets and counters. */
  applyFrame(frame: {
    readonly end: number;
    readonly timeMs: number;
    readonly sections: readonly Omit<Section, 'crc' | 'recordsBytes' | 'start'>[];
    readonly meta: FrameMeta;
  }): void {
    const segment = this.segments.at(-1);
    assert(segment !== undefined && frame.end > segment.end, 'a frame extends the last segment');
    segment.lastTimeMs = frame.timeMs;
    segment.end = frame.end;
    for (const section of frame.sections) this.#applySection(segment, section);
    for (const row of frame.meta.offsets) this.setGroupOffset(row);
    for (const [name, delta] of Object.entries(frame.meta.counters)) {
      this.counters.set(name, (this.counters.get(name) ?? 0) + delta);
    }
    this.address = frame.end;
  }

  setGroupOffset(row: GroupOffset): void {
    this.#offsets.set(offsetKey(row.group, row.topic, row.partition), row);
  }

  /** Adds offsets that can no longer be read; what is listed already is not listed twice. */
  quarantine(range: QuarantinedRange): void {
    const { topic, partition } = range;
    let { fromOffset, toOffset } = range;
    if (fromOffset >= toOffset) return;
    const touches = (other: QuarantinedRange): boolean =>
      other.topic === topic &&
      other.partition === partition &&
      other.fromOffset <= toOffset &&
      other.toOffset >= fromOffset;
    for (
      let index = this.#quarantined.findIndex(touches);
      index >= 0;
      index = this.#quarantined.findIndex(touches)
    ) {
      const [other] = this.#quarantined.splice(index, 1);
      fromOffset = Math.min(fromOffset, other!.fromOffset);
      toOffset = Math.max(toOffset, other!.toOffset);
    }
    this.#quarantined.push({ topic, partition, fromOffset, toOffset });
  }

  /** The offset, or the end of the quarantined range that it lies in: nobody can read, so nobody must, up to there. */
  readableFrom(topic: string, partition: number, offset: number): number {
    const range = this.#quarantined.find(
      candidate =>
        candidate.topic === topic &&
        candidate.partition === partition &&
        candidate.fromOffset <= offset &&
        candidate.toOffset > offset,
    );
    return range?.toOffset ?? offset;
  }

  /** Partitions of a topic as they are now; `count` of them. */
  partitionStates(topic: string, count: number): readonly PartitionState[] {
    return Array.from({ length: count }, (_, partition) => {
      const { next, records } = this.head(topic, partition);
      const held = this.segments.flatMap(segment => heldOf(segment, topic, partition) ?? []);
      const bytes = held.reduce((sum, range) => sum + range.bytes, 0);
      return { partition, startOffset: held[0]?.first ?? next, endOffset: next, records, bytes };
    });
  }

  /** First offset of a partition that is still held; the next offset where none is. */
  startOffset(topic: string, partition: number): number {
    for (const segment of this.segments) {
      const held = heldOf(segment, topic, partition);
      if (held !== undefined) return held.first;
    }
    return this.head(topic, partition).next;
  }

  /** The oldest segment with offsets at or above `offset`: where it has them, and where they end; null where none. */
  spanOf(
    topic: string,
    partition: number,
    offset: number,
  ): { readonly from: number; readonly to: number; readonly nextOffset: number } | null {
    for (const segment of this.segments) {
      const held = heldOf(segment, topic, partition);
      if (held !== undefined && held.next > offset) {
        return { from: segment.base, to: held.end, nextOffset: held.next };
      }
    }
    return null;
  }

  /** The segment that holds an address; undefined where none does. */
  segmentAt(address: number): SegmentSummary | undefined {
    return this.segments.findLast(segment => segment.base <= address);
  }

  /** Bytes of all segments. */
  bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.end - segment.base, 0);
  }

  /** The part of it that opens every segment. */
  snapshot(): Snapshot {
    return {
      topics: Object.fromEntries(
        Array.from(this.topics, ([topic, heads]) => [
          topic,
          heads.map(head => [head.next, head.records] as const),
        ]),
      ),
      offsets: Array.from(
        this.#offsets.values(),
        row => [row.group, row.topic, row.partition, row.offset] as const,
      ),
      counters: Object.fromEntries(this.counters),
      pins: Object.fromEntries(this.pins),
      quarantined: this.#quarantined.map(
        range => [range.topic, range.partition, range.fromOffset, range.toOffset] as const,
      ),
    };
  }

  /** Takes over what a snapshot says; offsets between ours and its are the caller's to quarantine first. */
  adopt(snapshot: Snapshot): void {
    for (const [topic, heads] of Object.entries(snapshot.topics)) {
      for (const [partition, [next, records]] of heads.entries()) {
        const head = this.head(topic, partition);
        head.next = Math.max(head.next, next);
        head.records = records;
      }
    }
    for (const [group, topic, partition, offset] of snapshot.offsets) {
      this.setGroupOffset({ group, topic, partition, offset });
    }
    for (const [name, value] of Object.entries(snapshot.counters)) this.counters.set(name, value);
    for (const [name, address] of Object.entries(snapshot.pins)) this.pins.set(name, address);
    for (const [topic, partition, fromOffset, toOffset] of snapshot.quarantined) {
      this.quarantine({ topic, partition, fromOffset, toOffset });
    }
  }

  #applySection(segment: SegmentSummary, section: Omit<Section, 'crc' | 'recordsBytes' | 'start'>): void {
    const head = this.head(section.topic, section.partition);
    assert(section.baseOffset === head.next, 'offsets are contiguous');
    head.next += section.count;
    head.records += section.count;
    const ranges = segment.held.get(section.topic) ?? [];
    segment.held.set(section.topic, ranges);
    const held = ranges.find(range => range.partition === section.partition);
    if (held === undefined) {
      const { partition, baseOffset: first, bytes } = section;
      ranges.push({ partition, first, next: head.next, bytes, end: segment.end });
    } else {
      held.next = head.next;
      held.bytes += section.bytes;
      held.end = segment.end;
    }
  }
}

/** What a segment holds of a partition. */
export function heldOf(segment: SegmentSummary, topic: string, partition: number): HeldRange | undefined {
  return segment.held.get(topic)?.find(range => range.partition === partition);
}

function offsetKey(group: string, topic: string, partition: number): string {
  return `${group}\n${topic}\n${partition}`;
}
