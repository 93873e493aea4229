import { assert } from '../../core/errors.ts';
import type { Commit, CommitDraft, CommitResult, RecordWriter } from '../../core/ports.ts';
import type { NewRecord, ValueText } from '../../core/record.ts';
import type { DraftMemory } from './draft-memory.ts';
import type { EncodedCommit } from './journal-writer.ts';
import { recordBytesMax, writeRecord } from './record-codec.ts';
import type { TopicTable } from './topic-table.ts';

/** What a draft is made with. */
export interface DraftOptions {
  readonly memory: DraftMemory;
  readonly topics: TopicTable;
  /** Resolves when the commit is durable. Its bytes are read until it settles, and not after. */
  submit(commit: EncodedCommit): Promise<CommitResult>;
}

/** A commit that is encoded as its records come, in shared memory that the next drafts use again. */
export class PackedDraft implements CommitDraft {
  readonly #options: DraftOptions;
  readonly #sections = new Map<string, Section>();

  constructor(options: DraftOptions) {
    this.#options = options;
  }

  writer(topic: string, partition: number): RecordWriter {
    const { memory, topics } = this.#options;
    const place = `${topic}\n${partition}`;
    let section = this.#sections.get(place);
    if (section === undefined) {
      topics.checkPartition(topic, partition);
      section = new Section(memory, { topic, partition, place });
      this.#sections.set(place, section);
    }
    return section;
  }

  async commit({ offsets, marks, counters }: Omit<Commit, 'appends'>): Promise<CommitResult> {
    this.#options.topics.checkCommit({ appends: [], offsets: offsets ?? [] });
    const sections = [...this.#sections.values()].filter(section => section.count > 0);
    const result = await this.#options.submit({
      appends: sections.map(section => section.encoded()),
      offsets: offsets ?? [],
      // Empty marks are none. The copy is ours to transfer.
      marks: marks?.byteLength ? new Uint8Array(marks) : null,
      counters: counters ?? {},
    });
    // Kept where it rejected: the same bytes are committed again.
    for (const section of this.#sections.values()) section.release();
    this.#sections.clear();
    return result;
  }
}

class Section implements RecordWriter {
  readonly #memory: DraftMemory;
  readonly #at: { readonly topic: string; readonly partition: number; readonly place: string };
  #buffer: Buffer<SharedArrayBuffer>;
  #length = 0;
  count = 0;

  constructor(memory: DraftMemory, at: { topic: string; partition: number; place: string }) {
    this.#memory = memory;
    this.#at = at;
    this.#buffer = memory.take(memory.expected(at.place));
  }

  add(record: Omit<NewRecord, 'value'>, value: ValueText): void {
    const end = this.#length + recordBytesMax(record, value);
    if (end > this.#buffer.length) this.#grow(end);
    this.#length = writeRecord(this.#buffer, this.#length, record, value);
    this.count += 1;
  }

  encoded() {
    const { topic, partition } = this.#at;
    return { topic, partition, count: this.count, bytes: this.#buffer.subarray(0, this.#length) };
  }

  release(): void {
    this.#memory.remember(this.#at.place, this.#length);
    this.#memory.give(this.#buffer);
  }

  #grow(needed: number): void {
    const grown = this.#memory.take(Math.max(needed, 2 * this.#buffer.length));
    assert(grown.length >= needed, 'memory is as large as it was asked for');
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#memory.give(this.#buffer);
    this.#buffer = grown;
  }
}
