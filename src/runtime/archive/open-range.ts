import { assert } from '../../core/errors.ts';
import { HEADER } from '../../core/headers.ts';
import type { LogRecord, Position } from '../../core/record.ts';

/** The records of one UTC date in a range, as the text of an object. */
export interface RangePart {
  /** `YYYY-MM-DD`, or `invalid`. */
  readonly date: string;
  readonly records: number;
  /** One JSON value per line, each line ended; who is done with it may hand it to {@link reuseText}. */
  readonly text: Uint8Array;
  /** Offsets of the lines, in their order, as runs `[from, to)`. */
  readonly runs: readonly { readonly fromOffset: number; readonly toOffset: number }[];
}

const DAY_MS = 86_400_000;
const NEWLINE = 10;
const RETURN = 13;
const BLOCK_BYTES_MIN = 1024;
const BLOCK_BYTES_MAX = 256 * 1024;
/** Free blocks kept for the next ranges, at most 16 MiB. */
const FREE_BLOCKS_MAX = 64;
const TEXT_STEP_BYTES = 4 * 1024 * 1024;
/** A larger text's memory is let go. */
const FREE_TEXT_BYTES_MAX = 32 * 1024 * 1024;
/** What a run of offsets takes in memory, roughly. */
const RUN_BYTES = 64;

/**
 * Consecutive offsets of one partition on their way into objects, split by the UTC date of the records' time.
 * The same records give the same parts, however they were handed over: a range that a crash cut off is built
 * again from the log.
 */
export class OpenRange {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  /** When it was opened, by the clock of the sink. */
  readonly openedAtMs: number;
  readonly #parts = new Map<string, PartBuffer>();
  #toOffset: number;
  #textBytes = 0;
  #heldBytes = 0;

  /** `start.offset` is the first offset that no earlier range covers; a record of it need not exist. */
  constructor(start: Position, openedAtMs: number) {
    this.topic = start.topic;
    this.partition = start.partition;
    this.fromOffset = start.offset;
    this.openedAtMs = openedAtMs;
    this.#toOffset = start.offset;
  }

  /** Offset after the last record. */
  get toOffset(): number {
    return this.#toOffset;
  }

  /** Bytes of all lines. */
  get textBytes(): number {
    return this.#textBytes;
  }

  /** Bytes of memory held, room to grow included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** How many dates, and so objects, there are. */
  get partCount(): number {
    return this.#parts.size;
  }

  /** Adds the next record of the partition; its value is copied. */
  add(record: LogRecord): void {
    assert(record.offset >= this.#toOffset, `offset ${record.offset} of ${record.topic} comes twice`);
    const date = dateOf(record.timeMs);
    let part = this.#parts.get(date);
    if (part === undefined) {
      part = new PartBuffer();
      this.#parts.set(date, part);
    }
    const line = lineOf(record);
    const heldBefore = part.heldBytes;
    part.add(record.offset, line);
    this.#toOffset = record.offset + 1;
    this.#textBytes += line.length + 1;
    this.#heldBytes += part.heldBytes - heldBefore;
  }

  /** The parts, by date. Ends the range: its memory goes to the next ones. */
  takeParts(): readonly RangePart[] {
    return [...this.#parts.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([date, part]) => ({ date, records: part.records, text: part.takeText(), runs: part.runs }));
  }
}

/**
 * The UTC date of a time, `YYYY-MM-DD`; `invalid` where there is none or its year is not one of 0000..9999.
 */
export function dateOf(timeMs: number): string {
  const day = Math.floor(timeMs / DAY_MS);
  if (day !== lastDay) {
    lastDay = day;
    lastDate = formatDay(day);
  }
  return lastDate;
}

// Neighbouring records nearly always have the same date, and formatting one costs more than storing a record.
let lastDay = Number.NaN;
let lastDate = 'invalid';

function formatDay(day: number): string {
  const date = new Date(day * DAY_MS);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9999 ? date.toISOString().slice(0, 10) : 'invalid';
}

/**
 * A record's value as one line of JSON. A value that is not JSON becomes a JSON string of its text (bytes that
 * are not UTF-8 as U+FFFD); line ends between the tokens of a JSON text become spaces.
 */
function lineOf(record: LogRecord): Buffer {
  const value = bufferOf(record.value);
  const isPlain = record.headers[HEADER.malformed] === undefined && value.length > 0;
  if (isPlain && !value.includes(NEWLINE) && !value.includes(RETURN)) return value;
  const text = value.toString('utf8');
  return Buffer.from(isPlain && isJson(text) ? text.replace(/[\n\r]/g, ' ') : JSON.stringify(text), 'utf8');
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Memory of a text that was written, for the next one: an object's worth of new memory sets a collection off. */
let freeText: ArrayBuffer | undefined;

function takeText(bytes: number): Buffer {
  if (bytes < TEXT_STEP_BYTES / 4) return Buffer.allocUnsafeSlow(bytes);
  if (freeText === undefined || freeText.byteLength < bytes) {
    return Buffer.from(new ArrayBuffer(TEXT_STEP_BYTES * Math.ceil(bytes / TEXT_STEP_BYTES)), 0, bytes);
  }
  const text = Buffer.from(freeText, 0, bytes);
  freeText = undefined;
  return text;
}

/** Takes the memory of a part's text for another one; nobody may read the text any more. */
export function reuseText({ buffer }: Uint8Array): void {
  const { byteLength } = buffer;
  if (!(buffer instanceof ArrayBuffer) || byteLength < TEXT_STEP_BYTES || byteLength > FREE_TEXT_BYTES_MAX)
    return;
  if (freeText === undefined || buffer.byteLength > freeText.byteLength) freeText = buffer;
}

/** Blocks of the greatest size that no part holds; all ranges of a thread share them. */
const freeBlocks: Buffer[] = [];

/**
 * A text that grows by lines. It copies, because a record's value is a piece of the whole block that was read:
 * kept as it is, a few small records of a quiet topic would hold blocks of megabytes. It grows by blocks that are used
 * again: one buffer that doubled was a third of the sink's time in collections, which memory outside the heap sets off.
 */
class PartBuffer {
  readonly runs: { readonly fromOffset: number; toOffset: number }[] = [];
  records = 0;
  /** All but the last are full; what is used of each. */
  readonly #blocks: Buffer[] = [];
  readonly #used: number[] = [];
  #heldBytes = 0;
  #block: Buffer = Buffer.alloc(0);
  #length = 0;

  get heldBytes(): number {
    return this.#heldBytes + this.runs.length * RUN_BYTES;
  }

  add(offset: number, line: Buffer): void {
    if (this.#length + line.length + 1 > this.#block.length) this.#openBlock(line.length + 1);
    // Not `set`, which takes ten times as long.
    line.copy(this.#block, this.#length);
    this.#length += line.length + 1;
    this.#block[this.#length - 1] = NEWLINE;
    this.records++;
    const last = this.runs.at(-1);
    if (last?.toOffset === offset) last.toOffset = offset + 1;
    else this.runs.push({ fromOffset: offset, toOffset: offset + 1 });
  }

  takeText(): Uint8Array {
    this.#closeBlock();
    const text = takeText(this.#used.reduce((sum, used) => sum + used, 0));
    let at = 0;
    for (const [index, block] of this.#blocks.entries()) {
      at += block.copy(text, at, 0, this.#used[index]);
      if (block.length === BLOCK_BYTES_MAX && freeBlocks.length < FREE_BLOCKS_MAX) freeBlocks.push(block);
    }
    this.#blocks.length = 0;
    this.#used.length = 0;
    return text;
  }

  /** Blocks grow with the part, so that one of a few records stays small. */
  #openBlock(needed: number): void {
    this.#closeBlock();
    const wanted = Math.min(BLOCK_BYTES_MAX, Math.max(BLOCK_BYTES_MIN, this.#heldBytes));
    const bytes = Math.max(wanted, needed);
    this.#block = (bytes === BLOCK_BYTES_MAX ? freeBlocks.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
    this.#heldBytes += bytes;
  }

  #closeBlock(): void {
    if (this.#length > 0) {
      this.#blocks.push(this.#block);
      this.#used.push(this.#length);
    }
    this.#block = Buffer.alloc(0);
    this.#length = 0;
  }
}
