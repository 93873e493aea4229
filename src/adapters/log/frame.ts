import { crc32 } from 'node:zlib';
import { assert } from '../../core/errors.ts';
import type { GroupOffset } from '../../core/ports.ts';

/**
 * A frame is what one write makes durable. Little-endian:
 *
 *     0 u32 magic            16 u64 address     40 u32 CRC of the marks
 *     4 u32 header bytes     24 f64 timeMs      44 u32 CRC of directory and meta
 *     8 u32 marks bytes      32 u32 sections    48 u32 CRC of the 48 bytes before
 *    12 u32 payload bytes    36 u32 meta bytes  52 directory, meta | marks | payload
 *
 * Directory, per section: u16 topic bytes, topic, u32 partition, f64 base offset, u32 records, u32 bytes, u32
 * CRC of these, u32 bytes of the records, which are compressed where they have more bytes than the section. Meta is
 * JSON. Marks: per commit u32 bytes and the bytes. Payload: the sections.
 *
 * The address is part of the frame, so bytes that look like one inside a value are not taken for one. The
 * fixed part has a CRC of its own, so that its lengths can be told from damage where the rest is cut off.
 *
 * Frames of the first format, which are read but not written, have another magic, and no u32 at the end of a section.
 */
const MAGIC = 0x324c524d;
const MAGIC_OF_FIRST = 0x314c524d;
/** What both begin with. */
const MAGIC_BYTES = Buffer.from('MRL');

/** Bytes of a header without directory and meta. */
export const FIXED_BYTES = 52;

const SECTION_FIXED_BYTES = 30;
const MARKS_CRC_AT = 40;
const REST_CRC_AT = 44;
const FIXED_CRC_AT = 48;

/** No header is larger; a length beyond it is damage. The largest part is the state that opens a segment. */
const HEADER_BYTES_MAX = 64 * 1024 * 1024;

/** Consecutive records of one partition within a frame. */
export interface Section {
  readonly topic: string;
  readonly partition: number;
  readonly baseOffset: number;
  readonly count: number;
  /** In the frame. */
  readonly bytes: number;
  /** CRC32 of the section's bytes in the frame. */
  readonly crc: number;
  /** Of its records. They are compressed in the frame where these are not as many: see `section-codec.ts`. */
  readonly recordsBytes: number;
  /** Where it starts, counted from the start of the frame. */
  readonly start: number;
}

/** What opens every segment: all that went before, so that a lost checkpoint costs nothing but time. */
export interface Snapshot {
  /** Per topic, per partition: next offset, records ever committed. */
  readonly topics: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  readonly offsets: readonly (readonly [string, string, number, number])[];
  readonly counters: Readonly<Record<string, number>>;
  readonly pins: Readonly<Record<string, number>>;
  /** Topic, partition, fromOffset, toOffset. */
  readonly quarantined: readonly (readonly [string, number, number, number])[];
}

/** What a frame carries besides records and marks. */
export interface FrameMeta {
  readonly offsets: readonly GroupOffset[];
  readonly counters: Readonly<Record<string, number>>;
  readonly snapshot: Snapshot | null;
}

/** A header that was read and whose CRC was right. */
export interface FrameHeader {
  readonly address: number;
  readonly headerBytes: number;
  readonly marksBytes: number;
  readonly marksCrc: number;
  /** Header, marks and payload. */
  readonly frameBytes: number;
  readonly timeMs: number;
  readonly sections: readonly Section[];
  /** The meta's JSON, as a copy. */
  readonly metaText: Buffer;
}

/** What {@link framePieces} makes a frame of. */
export interface FrameParts {
  readonly address: number;
  readonly timeMs: number;
  readonly sections: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly baseOffset: number;
    readonly count: number;
    /** What goes into the frame. */
    readonly chunks: readonly Uint8Array[];
    readonly recordsBytes: number;
  }[];
  readonly marks: readonly Uint8Array[];
  readonly meta: FrameMeta;
}

/** The frame as pieces that follow each other: header and marks in one of its own, then the chunks as they are. */
export function framePieces(parts: FrameParts): readonly Uint8Array[] {
  const names = parts.sections.map(section => Buffer.from(section.topic));
  const sizes = parts.sections.map(section => sum(section.chunks.map(chunk => chunk.byteLength)));
  const meta = Buffer.from(encodeMeta(parts.meta));
  const directoryBytes = sum(names.map(name => SECTION_FIXED_BYTES + name.length));
  const headerBytes = FIXED_BYTES + directoryBytes + meta.length;
  const marksBytes = sum(parts.marks.map(bytes => 4 + bytes.byteLength));
  const payloadBytes = sum(sizes);
  assert(headerBytes <= HEADER_BYTES_MAX && payloadBytes < 2 ** 32, 'a frame keeps its limits');

  const frame = Buffer.allocUnsafe(headerBytes + marksBytes);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(headerBytes, 4);
  frame.writeUInt32LE(marksBytes, 8);
  frame.writeUInt32LE(payloadBytes, 12);
  frame.writeBigUInt64LE(BigInt(parts.address), 16);
  frame.writeDoubleLE(parts.timeMs, 24);
  frame.writeUInt32LE(parts.sections.length, 32);
  frame.writeUInt32LE(meta.length, 36);
  meta.copy(frame, headerBytes - meta.length);

  let marksAt = headerBytes;
  for (const bytes of parts.marks) {
    frame.writeUInt32LE(bytes.byteLength, marksAt);
    frame.set(bytes, marksAt + 4);
    marksAt += 4 + bytes.byteLength;
  }
  frame.writeUInt32LE(crc32(frame.subarray(headerBytes, marksAt)), MARKS_CRC_AT);

  let at = FIXED_BYTES;
  for (const [index, section] of parts.sections.entries()) {
    at = writeEntry(frame, at, {
      name: names[index]!,
      partition: section.partition,
      baseOffset: section.baseOffset,
      count: section.count,
      bytes: sizes[index]!,
      recordsBytes: section.recordsBytes,
      crc: section.chunks.reduce((crc, chunk) => crc32(chunk, crc), 0),
    });
  }
  frame.writeUInt32LE(crc32(frame.subarray(FIXED_BYTES, headerBytes)), REST_CRC_AT);
  frame.writeUInt32LE(crc32(frame.subarray(0, FIXED_CRC_AT)), FIXED_CRC_AT);
  return [frame, ...parts.sections.flatMap(section => section.chunks)];
}

/** Bytes of the header that starts with `bytes`; undefined where no frame of this address does. */
export function headerBytesOf(bytes: Buffer, address: number): number | undefined {
  return addressOf(bytes) === address ? bytes.readUInt32LE(4) : undefined;
}

/** The address of the frame that starts with `bytes`; undefined where none does. */
export function addressOf(bytes: Buffer): number | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  const magic = bytes.readUInt32LE(0);
  if (magic !== MAGIC && magic !== MAGIC_OF_FIRST) return undefined;
  if (bytes.readUInt32LE(FIXED_CRC_AT) !== crc32(bytes.subarray(0, FIXED_CRC_AT))) return undefined;
  return Number(bytes.readBigUInt64LE(16));
}

/** Reads a header from its bytes, whose fixed part {@link headerBytesOf} found right; null where the rest is not. */
export function decodeHeader(bytes: Buffer): FrameHeader | null {
  if (bytes.readUInt32LE(REST_CRC_AT) !== crc32(bytes.subarray(FIXED_BYTES))) return null;
  const headerBytes = bytes.length;
  const marksBytes = bytes.readUInt32LE(8);
  const metaBytes = bytes.readUInt32LE(36);
  return {
    address: Number(bytes.readBigUInt64LE(16)),
    headerBytes,
    marksBytes,
    marksCrc: bytes.readUInt32LE(MARKS_CRC_AT),
    frameBytes: headerBytes + marksBytes + bytes.readUInt32LE(12),
    timeMs: bytes.readDoubleLE(24),
    sections: readDirectory(bytes, headerBytes + marksBytes),
    metaText: Buffer.from(bytes.subarray(headerBytes - metaBytes)),
  };
}

/** Index in `bytes`, whose first one has the address, of the first whole fixed part of a frame; -1 where none is. */
export function findFrame(bytes: Buffer, address: number): number {
  let at = bytes.indexOf(MAGIC_BYTES);
  while (at >= 0 && headerBytesOf(bytes.subarray(at), address + at) === undefined) {
    at = bytes.indexOf(MAGIC_BYTES, at + 1);
  }
  return at;
}

/** The meta of a header; safe to parse, for the header's CRC covers it. */
export function decodeMeta(header: FrameHeader): FrameMeta {
  if (header.metaText.length === 0) return { offsets: [], counters: {}, snapshot: null };
  const meta = JSON.parse(header.metaText.toString()) as {
    readonly offsets?: readonly [string, string, number, number][];
    readonly counters?: Readonly<Record<string, number>>;
    readonly snapshot?: Snapshot;
  };
  const offsets = (meta.offsets ?? []).map(([group, topic, partition, offset]) => ({
    group,
    topic,
    partition,
    offset,
  }));
  return { offsets, counters: meta.counters ?? {}, snapshot: meta.snapshot ?? null };
}

/** The marks of a frame, commit by commit, as views of `bytes`; null where their CRC is wrong. */
export function decodeMarks(bytes: Buffer, header: FrameHeader): readonly Uint8Array[] | null {
  if (bytes.length !== header.marksBytes || crc32(bytes) !== header.marksCrc) return null;
  const marks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    marks.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return marks;
}

function encodeMeta(meta: FrameMeta): string {
  const parts: Record<string, unknown> = {};
  if (meta.offsets.length > 0) {
    parts['offsets'] = meta.offsets.map(row => [row.group, row.topic, row.partition, row.offset]);
  }
  if (Object.keys(meta.counters).length > 0) parts['counters'] = meta.counters;
  if (meta.snapshot !== null) parts['snapshot'] = meta.snapshot;
  return Object.keys(parts).length === 0 ? '' : JSON.stringify(parts);
}

interface Entry extends Omit<Section, 'topic' | 'start'> {
  readonly name: Buffer;
}

function writeEntry(frame: Buffer, start: number, entry: Entry): number {
  let at = frame.writeUInt16LE(entry.name.length, start);
  at += entry.name.copy(frame, at);
  at = frame.writeUInt32LE(entry.partition, at);
  at = frame.writeDoubleLE(entry.baseOffset, at);
  at = frame.writeUInt32LE(entry.count, at);
  at = frame.writeUInt32LE(entry.bytes, at);
  at = frame.writeUInt32LE(entry.crc, at);
  return frame.writeUInt32LE(entry.recordsBytes, at);
}

function readDirectory(bytes: Buffer, payloadStart: number): readonly Section[] {
  const isFirstFormat = bytes.readUInt32LE(0) === MAGIC_OF_FIRST;
  const count = bytes.readUInt32LE(32);
  const sections: Section[] = [];
  let at = FIXED_BYTES;
  let start = payloadStart;
  for (let index = 0; index < count; index++) {
    const nameEnd = at + 2 + bytes.readUInt16LE(at);
    const sectionBytes = bytes.readUInt32LE(nameEnd + 16);
    sections.push({
      topic: bytes.toString('utf8', at + 2, nameEnd),
      partition: bytes.readUInt32LE(nameEnd),
      baseOffset: bytes.readDoubleLE(nameEnd + 4),
      count: bytes.readUInt32LE(nameEnd + 12),
      bytes: sectionBytes,
      crc: bytes.readUInt32LE(nameEnd + 20),
      recordsBytes: isFirstFormat ? sectionBytes : bytes.readUInt32LE(nameEnd + 24),
      start,
    });
    start += sectionBytes;
    at = nameEnd + (isFirstFormat ? 24 : 28);
  }
  return sections;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
