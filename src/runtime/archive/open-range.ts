import { assert } from '../../core/errors.ts';
import { HEADER } from '../../core/headers.ts';
import type { LogRecord, Position } from '../../core/record.ts';

/** The records of one UTC date in a range, as the text of an object. */
export interface RangePart {
  /** `YYYY-MM-DD`, or `invalid`. */
  readonly date: string;
  readonly records: number;
  /** One JSON value per line, each line ended; a view that the next `add` may invalidate. */
  readonly text: Uint8Array;
  /** Offsets of the lines, in their order, as runs `[from, to)`. */
  readonly runs: readonly { readonly fromOffset: number; readonly toOffset: number }[];
}

const DAY_MS = 86_400_000;
const NEWLINE = 10;
const RETURN = 13;
const CAPACITY_BYTES_MIN = 1024;
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

  /** The parts, by date. */
  parts(): readonly RangePart[] {
    return [...this.#parts.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([date, part]) => ({ date, records: part.records, text: part.text(), runs: part.runs }));
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
function lineOf(record: LogRecord): Uint8Array {
  const value = Buffer.from(record.value.buffer, record.value.byteOffset, record.value.length);
  const isPlain = record.headers[HEADER.malformed] === undefined && value.length > 0;
  if (isPlain && !value.includes(NEWLINE) && !value.includes(RETURN)) return value;
  const text = value.toString('utf8');
  return Buffer.from(isPlain && isJson(text) ? text.replace(/[\n\r]/g, ' ') : JSON.stringify(text), 'utf8');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * A text that grows by lines. It copies, because a record's value is a piece of the whole block that was read:
 * kept as it is, a few small records of a quiet topic would hold blocks of megabytes.
 */
class PartBuffer {
  readonly runs: { readonly fromOffset: number; toOffset: number }[] = [];
  records = 0;
  #bytes = Buffer.alloc(0);
  #length = 0;

  get heldBytes(): number {
    return this.#bytes.length + this.runs.length * RUN_BYTES;
  }

  add(offset: number, line: Uint8Array): void {
    const end = this.#length + line.length + 1;
    if (end > this.#bytes.length) this.#grow(end);
    this.#bytes.set(line, this.#length);
    this.#bytes[end - 1] = NEWLINE;
    this.#length = end;
    this.records++;
    const last = this.runs.at(-1);
    if (last?.toOffset === offset) last.toOffset = offset + 1;
    else this.runs.push({ fromOffset: offset, toOffset: offset + 1 });
  }

  text(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(CAPACITY_BYTES_MIN, needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
