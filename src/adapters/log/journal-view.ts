import type { LogRecord, Position } from '../../core/record.ts';
import type { Section } from './frame.ts';
import { type ConsumerStart, JournalConsumer } from './journal-consumer.ts';
import { JournalReader, type ReaderOptions } from './journal-reader.ts';
import type { CommittedMarks } from './log-contract.ts';
import { decodeRecord, skipRecord } from './record-codec.ts';

/** Values of one read, bytes: a read returns fewer records than asked for rather than hold more in memory. */
const READ_BYTES_MAX = 64 * 1024 * 1024;

/** Places remembered so that reading on starts where the read before ended. */
const HINTS_MAX = 1024;

/** The addresses `[from, to)` of one segment that hold records of a partition, none at or after `nextOffset`. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly nextOffset: number;
}

/** What a view is made with. */
export interface ViewOptions extends ReaderOptions {
  /** The oldest segment that holds an offset at or above this one; null where none does. */
  locate(place: Position): Promise<Span | null>;
}

/** The reading half of a log; every thread has its own and reads the files itself. */
export class JournalView {
  readonly #options: ViewOptions;
  /** By partition: no record at or above `offset` lies in a frame before `address`. */
  readonly #hints = new Map<string, { readonly offset: number; readonly address: number }>();

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** See {@link Log.read}. Besides `recordsMax`, 64 MiB end it: only an empty answer means the end. */
  async read(from: Position, recordsMax: number): Promise<readonly LogRecord[]> {
    const reader = new JournalReader(this.#options);
    const reading: Reading = { from, recordsMax, records: [], bytes: 0 };
    try {
      let offset = from.offset;
      while (!isFull(reading)) {
        const span = await this.#options.locate({ ...from, offset });
        if (span === null) break;
        await this.#readSpan(reader, reading, span);
        offset = span.nextOffset;
      }
      return reading.records;
    } finally {
      await reader.close();
    }
  }

  /** See {@link JournaledLog.marksFrom}. */
  async *marksFrom(position: number): AsyncIterable<CommittedMarks> {
    const reader = new JournalReader(this.#options);
    try {
      for (let at = position; ; ) {
        const header = await reader.next(at, this.#options.positions.end());
        if (header === null) return;
        at = header.address + header.frameBytes;
        for (const marks of await reader.marks(header)) yield { position: at, marks };
      }
    } finally {
      await reader.close();
    }
  }

  openConsumer(options: {
    readonly topics: readonly string[];
    readonly start: ConsumerStart;
    onClose(): void;
  }): JournalConsumer {
    const reader = new JournalReader(this.#options);
    return new JournalConsumer({ ...options, reader, positions: this.#options.positions });
  }

  async #readSpan(reader: JournalReader, reading: Reading, span: Span): Promise<void> {
    const { topic, partition } = reading.from;
    const end = Math.min(span.to, this.#options.positions.end());
    let address = this.#hintFor(reading, span);
    while (!isFull(reading)) {
      const header = await reader.next(address, end);
      if (header === null) return;
      const section = header.sections.find(
        candidate =>
          candidate.topic === topic &&
          candidate.partition === partition &&
          candidate.baseOffset + candidate.count > reading.from.offset,
      );
      const bytes = section === undefined ? null : await reader.section(header, section);
      if (section !== undefined && bytes !== null)
        this.#takeFrom(reading, { section, bytes, address: header.address });
      address = header.address + header.frameBytes;
    }
  }

  #takeFrom(
    reading: Reading,
    found: { readonly section: Section; readonly bytes: Buffer; readonly address: number },
  ): void {
    const { section, bytes } = found;
    const { topic, partition, baseOffset, count } = section;
    let at = 0;
    for (let index = 0; index < count && !isFull(reading); index++) {
      const offset = baseOffset + index;
      if (offset < reading.from.offset) {
        at = skipRecord(bytes, at);
        continue;
      }
      const { record, next } = decodeRecord(bytes, at, { topic, partition, offset });
      reading.records.push(record);
      reading.bytes += next - at;
      at = next;
    }
    const last = reading.records.at(-1);
    if (last === undefined) return;
    if (this.#hints.size >= HINTS_MAX) this.#hints.clear();
    this.#hints.set(`${topic}\n${partition}`, { offset: last.offset + 1, address: found.address });
  }

  #hintFor(reading: Reading, span: Span): number {
    const hint = this.#hints.get(`${reading.from.topic}\n${reading.from.partition}`);
    const isUsable =
      hint !== undefined &&
      hint.offset <= reading.from.offset &&
      hint.address >= span.from &&
      hint.address < span.to;
    return isUsable ? hint.address : span.from;
  }
}

interface Reading {
  readonly from: Position;
  readonly recordsMax: number;
  readonly records: LogRecord[];
  bytes: number;
}

function isFull(reading: Reading): boolean {
  return reading.records.length >= reading.recordsMax || reading.bytes >= READ_BYTES_MAX;
}
