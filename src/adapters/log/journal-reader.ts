import { crc32 } from 'node:zlib';
import { decodeMarks, type FrameHeader, type Section } from './frame.ts';
import { isMissing, listSegments } from './journal-files.ts';
import { decompressSection } from './section-codec.ts';
import { SegmentWindow } from './segment-window.ts';
import type { SharedPositions } from './shared-positions.ts';

/** What a reader is made with. */
export interface ReaderOptions {
  readonly journal: string;
  readonly positions: SharedPositions;
  /** Called with the address of bytes that cannot be read; reading goes on behind them. */
  onDamage(address: number): void;
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** Reads frames in address order, one segment open at a time. One call at a time; memory is one window. */
export class JournalReader {
  readonly #options: ReaderOptions;
  #window: SegmentWindow | null = null;
  /** Where the open segment's frames end: the end of a closed file, no limit for the active one. */
  #limit = 0;
  /** Base of the active segment when {@link #limit} was found. */
  #activeBase = -1;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** The first frame at or after an address that ends at or before `end`, a durable end; null where none does. */
  async next(from: number, end: number): Promise<FrameHeader | null> {
    let address = from;
    while (address < end) {
      address = await this.#enter(address);
      if (this.#window === null || address >= end) return null;
      const step = await this.#window.step(address, Math.min(end, this.#limit));
      if (step.kind === 'frame') return step.header;
      if (step.kind === 'end') return null;
      this.#options.onDamage(step.from);
      address = step.to;
    }
    return null;
  }

  /**
   * The records of a section of the frame that {@link next} returned last, in `target` of their length or in memory of
   * their own; null where it is damaged.
   */
  async section(header: FrameHeader, section: Section, target?: Buffer): Promise<Buffer | null> {
    const address = header.address + section.start;
    const isCompressed = section.recordsBytes !== section.bytes;
    const bytes = isCompressed
      ? await this.#window?.view(address, section.bytes, address + section.bytes)
      : await this.#window?.copy(address, section.bytes, target);
    if (!bytes || crc32(bytes) !== section.crc) {
      this.#options.onDamage(header.address);
      return null;
    }
    return isCompressed ? decompressSection(bytes, section.recordsBytes, target) : bytes;
  }

  /** The marks of the frame that {@link next} returned last, commit by commit; none where they are damaged. */
  async marks(header: FrameHeader): Promise<readonly Uint8Array[]> {
    if (header.marksBytes === 0) return [];
    const bytes = await this.#window?.copy(header.address + header.headerBytes, header.marksBytes);
    const marks = bytes ? decodeMarks(bytes, header) : null;
    if (marks !== null) return marks;
    this.#options.onDamage(header.address);
    return [];
  }

  /** Lets go of a segment that is written no more: an open file keeps its space though retention removes it. */
  async rest(): Promise<void> {
    if (this.#window !== null && this.#window.base < this.#options.positions.activeBase()) await this.close();
  }

  async close(): Promise<void> {
    const window = this.#window;
    this.#window = null;
    await window?.close();
  }

  /**
   * Opens the segment that holds the address, and returns it; where none does, because retention took it or
   * the segment before ends short of it, the first address behind it that one holds.
   */
  async #enter(address: number): Promise<number> {
    const activeBase = this.#options.positions.activeBase();
    const isOpen = this.#window !== null && address >= this.#window.base && address < this.#limit;
    if (isOpen && activeBase === this.#activeBase) return address;
    this.#activeBase = activeBase;
    const files = await listSegments(this.#options.journal);
    const holding = files.findLastIndex(file => file.base <= address);
    for (let index = Math.max(0, holding); index < files.length; index++) {
      const file = files[index]!;
      if (!(await this.#open(file.path, file.base))) continue;
      const fileEnd = file.base >= activeBase ? NO_LIMIT : await this.#window!.end();
      this.#limit = Math.min(fileEnd, files[index + 1]?.base ?? NO_LIMIT);
      if (address < this.#limit) return Math.max(address, file.base);
    }
    await this.close();
    return NO_LIMIT;
  }

  /** False where the file is gone: retention was faster. */
  async #open(path: string, base: number): Promise<boolean> {
    if (this.#window?.base === base) return true;
    await this.close();
    try {
      this.#window = await SegmentWindow.open(path, base);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }
}
