import { assert, MillraceError } from '../../core/errors.ts';
import type { Consumer, GroupOffset, PollLimit } from '../../core/ports.ts';
import type { LogRecord } from '../../core/record.ts';
import type { FrameHeader, Section } from './frame.ts';
import type { JournalReader } from './journal-reader.ts';
import { LentMemory } from './lent-memory.ts';
import { decodeRecord, skipRecord } from './record-codec.ts';
import type { SharedPositions } from './shared-positions.ts';

/** Where the owner of the log lets a consumer start. */
export interface ConsumerStart {
  /** Its place in {@link SharedPositions}. */
  readonly slot: number;
  /** No uncommitted record of its topics lies before. */
  readonly address: number;
  /** The group's offsets: one per partition of its topics. */
  readonly offsets: readonly GroupOffset[];
}

/** What a consumer is made with. */
export interface ConsumerOptions {
  readonly positions: SharedPositions;
  readonly reader: JournalReader;
  readonly topics: readonly string[];
  readonly start: ConsumerStart;
  onClose(): void;
}

interface OpenSection {
  readonly section: Section;
  readonly bytes: Buffer;
  /** Index of the next record, and where it starts. */
  index: number;
  at: number;
}

/**
 * Walks the journal once, in address order, and hands out the records of its topics. Holds one section of one
 * frame at a time. Frames without its topics are passed over by their header, or not read at all where
 * nothing of its topics lies before the durable end.
 */
export class JournalConsumer implements Consumer {
  readonly #options: ConsumerOptions;
  readonly #topics: ReadonlySet<string>;
  readonly #from: ReadonlyMap<string, number>;
  #address: number;
  #header: FrameHeader | null = null;
  #sections: Section[] = [];
  #open: OpenSection | null = null;
  readonly #memory = new LentMemory();
  #isLending = false;
  #isPolling = false;
  #isClosed = false;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#topics = new Set(options.topics);
    this.#from = new Map(options.start.offsets.map(row => [`${row.topic}\n${row.partition}`, row.offset]));
    this.#address = options.start.address;
  }

  async poll(limit: PollLimit): Promise<readonly LogRecord[]> {
    assert(!this.#isPolling, 'one poll at a time');
    assert(limit.recordsMax > 0, 'a poll may return a record');
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the consumer is closed');
    this.#isPolling = true;
    try {
      const deadlineMs = performance.now() + limit.waitMsMax;
      // Ends at the deadline, or before: each round waits for the durable end to move.
      for (;;) {
        this.#publish();
        const end = this.#options.positions.end();
        const records = await this.#take(limit);
        const waitMs = deadlineMs - performance.now();
        if (records.length > 0 || waitMs <= 0 || this.#isClosed) return records;
        this.#publish();
        await this.#options.positions.waitBeyond(end, waitMs);
        if (this.#isClosed) return [];
      }
    } finally {
      this.#isPolling = false;
      if (this.#isClosed) await this.#options.reader.close();
    }
  }

  isCaughtUp(): boolean {
    const isDrained = this.#open === null && this.#sections.length === 0;
    return isDrained && !this.#options.positions.holdsBeyond(this.#options.topics, this.#address);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.onClose();
    if (this.#isPolling) this.#options.positions.wake();
    else await this.#options.reader.close();
  }

  /** Tells the owner how far we are: who polls is done with everything handed out before. */
  #publish(): void {
    const isDrained = this.#open === null && this.#sections.length === 0;
    const address = isDrained ? this.#address : (this.#header?.address ?? this.#address);
    this.#options.positions.setConsumerAt(this.#options.start.slot, address);
  }

  async #take(limit: PollLimit): Promise<readonly LogRecord[]> {
    this.#isLending = limit.isLent === true;
    this.#memory.reclaim(this.#open?.bytes);
    const records: LogRecord[] = [];
    let bytes = 0;
    while (records.length < limit.recordsMax && (records.length === 0 || bytes < limit.bytesMax)) {
      if (this.#open === null && !(await this.#openNext(records.length > 0))) break;
      const open = this.#open!;
      const { topic, partition, baseOffset, count } = open.section;
      const { record, next } = decodeRecord(open.bytes, open.at, {
        topic,
        partition,
        offset: baseOffset + open.index,
      });
      bytes += next - open.at;
      open.at = next;
      open.index += 1;
      records.push(record);
      if (open.index === count) this.#open = null;
    }
    return records;
  }

  /**
   * Loads the next section with a record for us; false at the durable end. Where the file cannot be read, what
   * the poll has so far is handed out, and the next one meets the error.
   */
  async #openNext(hasRecords: boolean): Promise<boolean> {
    try {
      return await this.#findSection();
    } catch (error) {
      if (hasRecords) return false;
      throw error;
    }
  }

  async #findSection(): Promise<boolean> {
    while (!this.#isClosed) {
      const section = this.#sections[0];
      if (section === undefined) {
        if (!(await this.#advance())) return false;
        continue;
      }
      const from = this.#from.get(`${section.topic}\n${section.partition}`) ?? 0;
      const skipped = Math.max(0, from - section.baseOffset);
      const isOurs = skipped < section.count;
      const bytes = isOurs ? await this.#load(section) : null;
      this.#sections.shift();
      if (bytes === null) continue;
      let at = 0;
      for (let index = 0; index < skipped; index++) at = skipRecord(bytes, at);
      this.#open = { section, bytes, index: skipped, at };
      return true;
    }
    return false;
  }

  #load(section: Section): Promise<Buffer | null> {
    const target = this.#isLending ? this.#memory.lend(section.recordsBytes) : undefined;
    return this.#options.reader.section(this.#header!, section, target);
  }

  /** Moves to the next frame with sections of our topics; false, and to the durable end, where there is none. */
  async #advance(): Promise<boolean> {
    const { positions, reader, topics } = this.#options;
    const end = positions.end();
    // Topics' ends are set before the durable end, so none of ours lies below it where this says no.
    const header = positions.holdsBeyond(topics, this.#address)
      ? await reader.next(this.#address, end)
      : null;
    if (header === null) {
      await reader.rest();
      this.#address = Math.max(this.#address, end);
      return false;
    }
    this.#header = header;
    this.#sections = header.sections.filter(section => this.#topics.has(section.topic));
    this.#address = header.address + header.frameBytes;
    return true;
  }
}
