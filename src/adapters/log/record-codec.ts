import { assert } from '../../core/errors.ts';
import type { Headers, LogRecord, NewRecord, Position, ValueText } from '../../core/record.ts';

/**
 * Bytes a record has besides its texts: u32 bytes that follow, u32 key bytes plus one (0 is no key), u32
 * header bytes, f64 timeMs; little-endian. Then key, headers, value. No record is shorter, so damaged bytes
 * divided by this bound how many records they can have held.
 */
export const RECORD_BYTES_MIN = 20;

/** Bytes before the name of one header: u32 name bytes, u32 text bytes. */
const HEADER_PREFIX_BYTES = 8;

/** UTF-8 bytes of one UTF-16 unit, at most. */
const UNIT_BYTES_MAX = 3;
/** Up to this length a loop writes an ASCII text faster than a call out of JavaScript does. */
const LOOP_UNITS_MAX = 96;

/** Bytes of one record in the journal. */
export function recordBytes(record: NewRecord): number {
  const keyBytes = record.key === null ? 0 : Buffer.byteLength(record.key);
  return RECORD_BYTES_MIN + keyBytes + headersBytes(record.headers) + record.value.byteLength;
}

/** Most bytes that a record of this value can take. */
export function recordBytesMax(record: Omit<NewRecord, 'value'>, value: ValueText): number {
  let units = record.key?.length ?? 0;
  let prefixBytes = RECORD_BYTES_MIN;
  for (const name in record.headers) {
    units += name.length + record.headers[name]!.length;
    prefixBytes += HEADER_PREFIX_BYTES;
  }
  const tailBytes = value.tail.length * (typeof value.tail === 'string' ? UNIT_BYTES_MAX : 1);
  return prefixBytes + UNIT_BYTES_MAX * units + value.to - value.from + tailBytes;
}

/**
 * Writes records one after another into memory of their own, which may be transferred. Offsets are not part
 * of it: they are known only at the commit. A lone surrogate in a key or header becomes U+FFFD.
 */
export function encodeRecords(records: readonly NewRecord[]): Uint8Array<ArrayBuffer> {
  let total = 0;
  for (const record of records) total += recordBytes(record);
  const bytes = Buffer.from(new ArrayBuffer(total));
  let at = 0;
  for (const record of records) {
    const { value } = record;
    at = writeRecord(bytes, at, record, { head: value, from: 0, to: value.byteLength, tail: '' });
  }
  assert(at === total, 'records fill their memory');
  return new Uint8Array(bytes.buffer);
}

/** Writes a record of this value; returns where the next one starts. */
export function writeRecord(
  bytes: Buffer,
  start: number,
  record: Omit<NewRecord, 'value'>,
  value: ValueText,
): number {
  let at = start + RECORD_BYTES_MIN;
  let keyField = 0;
  if (record.key !== null) {
    const keyBytes = writeText(bytes, record.key, at);
    keyField = keyBytes + 1;
    at += keyBytes;
  }
  const headersStart = at;
  for (const name in record.headers) {
    const nameBytes = writeText(bytes, name, at + HEADER_PREFIX_BYTES);
    const textBytes = writeText(bytes, record.headers[name]!, at + HEADER_PREFIX_BYTES + nameBytes);
    bytes.writeUInt32LE(nameBytes, at);
    bytes.writeUInt32LE(textBytes, at + 4);
    at += HEADER_PREFIX_BYTES + nameBytes + textBytes;
  }
  bytes.writeUInt32LE(at - headersStart, start + 8);
  at = writeValue(bytes, at, value);
  bytes.writeUInt32LE(at - start - 4, start);
  bytes.writeUInt32LE(keyField, start + 4);
  bytes.writeDoubleLE(record.timeMs, start + 12);
  return at;
}

/** By `copy`: `set` of a typed array takes ten times as long, and needs a view of the piece. */
const { copy } = Buffer.prototype;

function writeValue(bytes: Buffer, start: number, { head, from, to, tail }: ValueText): number {
  const at = start + copy.call(head, bytes, start, from, to);
  if (typeof tail !== 'string') return at + copy.call(tail, bytes, at);
  return tail === '' ? at : at + bytes.write(tail, at);
}

/** One record read, and where the next one starts. */
export interface DecodedRecord {
  readonly record: LogRecord;
  readonly next: number;
}

/** Reads the record that starts at `at`. Its value is a view of `bytes`, which belongs to the reader from then on. */
export function decodeRecord(bytes: Buffer, at: number, place: Position): DecodedRecord {
  const next = at + 4 + bytes.readUInt32LE(at);
  const keyBytes = bytes.readUInt32LE(at + 4);
  const headersStart = at + RECORD_BYTES_MIN + Math.max(0, keyBytes - 1);
  const valueStart = headersStart + bytes.readUInt32LE(at + 8);
  assert(valueStart <= next && next <= bytes.length, 'a record lies within its section');
  const record: LogRecord = {
    topic: place.topic,
    partition: place.partition,
    offset: place.offset,
    key: keyBytes === 0 ? null : bytes.toString('utf8', at + RECORD_BYTES_MIN, headersStart),
    timeMs: bytes.readDoubleLE(at + 12),
    headers: readHeaders(bytes, headersStart, valueStart),
    value: bytes.subarray(valueStart, next),
  };
  return { record, next };
}

/** Reads `count` records; `place` is the first one's. */
export function decodeRecords(bytes: Buffer, count: number, place: Position): readonly LogRecord[] {
  const records: LogRecord[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    const decoded = decodeRecord(bytes, at, { ...place, offset: place.offset + index });
    records.push(decoded.record);
    at = decoded.next;
  }
  return records;
}

/** Where the record after the one at `at` starts. */
export function skipRecord(bytes: Buffer, at: number): number {
  return at + 4 + bytes.readUInt32LE(at);
}

function headersBytes(headers: Headers): number {
  let total = 0;
  for (const name in headers) {
    total += HEADER_PREFIX_BYTES + Buffer.byteLength(name) + Buffer.byteLength(headers[name]!);
  }
  return total;
}

function writeText(bytes: Buffer, text: string, start: number): number {
  const { length } = text;
  if (length > LOOP_UNITS_MAX) return bytes.write(text, start);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return bytes.write(text, start);
    bytes[start + i] = unit;
  }
  return length;
}

// Nearly all headers have one name: telling that it is the last one costs less than making its text again.
// Only of ASCII, where the bytes are the units.
let lastName = '';

function readName(bytes: Buffer, start: number, end: number): string {
  const { length } = lastName;
  let equal = 0;
  if (length === end - start)
    while (equal < length && bytes[start + equal] === lastName.charCodeAt(equal)) equal += 1;
  if (length > 0 && equal === length) return lastName;
  const name = bytes.toString('utf8', start, end);
  if (name.length === end - start) lastName = name;
  return name;
}

function readHeaders(bytes: Buffer, start: number, end: number): Headers {
  const headers: Record<string, string> = {};
  let at = start;
  while (at < end) {
    const nameEnd = at + HEADER_PREFIX_BYTES + bytes.readUInt32LE(at);
    const textEnd = nameEnd + bytes.readUInt32LE(at + 4);
    assert(textEnd <= end, 'a header lies within its record');
    const name = readName(bytes, at + HEADER_PREFIX_BYTES, nameEnd);
    const text = bytes.toString('utf8', nameEnd, textEnd);
    // Plain assignment would set the prototype instead of the entry.
    if (name === '__proto__') Object.defineProperty(headers, name, { value: text, enumerable: true });
    else headers[name] = text;
    at = textEnd;
  }
  return headers;
}
