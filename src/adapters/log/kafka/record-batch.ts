import { compressionsAlgorithmsByBitmask, crc32c } from '@platformatic/kafka';
import { MillraceError } from '../../../core/errors.ts';
import type { LogRecord } from '../../../core/record.ts';
import { HeaderReader } from './kafka-record.ts';
import type { Place } from './tenures.ts';

/**
 * A batch of records as the brokers keep it, its records not looked at yet. Big-endian (KIP-98):
 *
 *      0 i64 base offset           21 i16 attributes            43 i64 producer id
 *      8 i32 bytes that follow     23 i32 last offset delta     51 i16 producer epoch
 *     12 i32 leader epoch          27 i64 base timestamp        53 i32 base sequence
 *     16 i8  magic, 2              35 i64 largest timestamp     57 i32 count
 *     17 u32 CRC32C from 21 on                                  61 records, compressed together
 */
export interface RecordBatch {
  readonly bytes: Buffer;
  readonly baseOffset: number;
  /** Offset after its last record, also of one that compaction took away. */
  readonly nextOffset: number;
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** It holds no data but the end of a transaction. */
  readonly isControl: boolean;
}

/** The records of a batch. */
export interface Unpacked {
  readonly records: readonly LogRecord[];
  /** What the values lie in, to be freed when they are done with; null where they lie in the batch itself. */
  readonly memory: Buffer | null;
}

/** A transaction that was aborted: from its first record to its producer's next control batch. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

const HEAD_BYTES = 61;
const LENGTH_AT = 8;
const LENGTH_END = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const BASE_TIME_AT = 27;
const LARGEST_TIME_AT = 35;
const PRODUCER_AT = 43;
const COUNT_AT = 57;

const MAGIC = 2;
const COMPRESSION = 0b111;
/** The broker's time of the append, the largest time, is that of all records. */
const IS_APPEND_TIME = 1 << 3;
const IS_TRANSACTIONAL = 1 << 4;
const IS_CONTROL = 1 << 5;
/** Type of the control record of a transaction that was aborted. */
const ABORT = 0;

/** Bit that says that another byte of a number follows, and the others. */
const MORE = 0x80;
const REST = 0x7f;
const EMPTY = Buffer.alloc(0);

/**
 * The batches of a fetch, in order, up to one that is cut off or damaged. Throws ERR_STORE_UNAVAILABLE where the first
 * one is damaged, or in the format of before Kafka 0.11.
 */
export function readBatches(bytes: Buffer, place: Place): readonly RecordBatch[] {
  const batches: RecordBatch[] = [];
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES) {
    const end = at + LENGTH_END + bytes.readInt32BE(at + LENGTH_AT);
    if (end > bytes.length) break;
    const batch = readHead(bytes.subarray(at, end));
    if (batch === undefined && batches.length > 0) break;
    if (batch === undefined) throw unreadable(place, Number(bytes.readBigInt64BE(at)));
    batches.push(batch);
    at = end;
  }
  return batches;
}

/**
 * The batches without those of aborted transactions and without control batches.
 * @param batches  of one fetch, in order
 * @param aborted  what the same fetch says was aborted
 */
export function committedOnly(
  batches: readonly RecordBatch[],
  aborted: readonly AbortedTransaction[],
): readonly RecordBatch[] {
  const coming = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  /** Producers whose transaction at this place was aborted. */
  const open = new Set<bigint>();
  return batches.filter(batch => {
    while (coming.length > 0 && coming[0]!.firstOffset < batch.nextOffset) {
      open.add(coming.shift()!.producerId);
    }
    if (batch.isControl) {
      if (isAbort(batch)) open.delete(batch.producerId);
      return false;
    }
    return !(batch.isTransactional && open.has(batch.producerId));
  });
}

/**
 * The records of a batch from an offset on. Their values lie in memory that they share. Throws ERR_STORE_UNAVAILABLE
 * where they are not what the head of the batch says.
 */
export function unpack(batch: RecordBatch, place: Place, fromOffset: number): Unpacked {
  try {
    return decode(batch, place, fromOffset);
  } catch (cause) {
    throw unreadable(place, batch.baseOffset, cause);
  }
}

function readHead(bytes: Buffer): RecordBatch | undefined {
  if (bytes.length < HEAD_BYTES || bytes[MAGIC_AT] !== MAGIC) return undefined;
  if (crc32c(bytes.subarray(ATTRIBUTES_AT)) !== bytes.readUInt32BE(CRC_AT)) return undefined;
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  const baseOffset = Number(bytes.readBigInt64BE(0));
  return {
    bytes,
    baseOffset,
    nextOffset: baseOffset + bytes.readInt32BE(LAST_DELTA_AT) + 1,
    producerId: bytes.readBigInt64BE(PRODUCER_AT),
    isTransactional: (attributes & IS_TRANSACTIONAL) !== 0,
    isControl: (attributes & IS_CONTROL) !== 0,
  };
}

function decode(
  { bytes, baseOffset }: RecordBatch,
  { topic, partition }: Place,
  fromOffset: number,
): Unpacked {
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  const baseMs = Number(bytes.readBigInt64BE(BASE_TIME_AT));
  const isAppendTime = (attributes & IS_APPEND_TIME) !== 0;
  const appendMs = Number(bytes.readBigInt64BE(LARGEST_TIME_AT));
  const count = bytes.readInt32BE(COUNT_AT);
  const body = unpacked(bytes.subarray(HEAD_BYTES), attributes & COMPRESSION);
  const reader = new RecordReader(body);
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i++) {
    const end = reader.number() + reader.at;
    reader.at += 1;
    const writtenMs = baseMs + reader.number();
    const offset = baseOffset + reader.number();
    const key = reader.bytes();
    const value = reader.bytes() ?? EMPTY;
    const headers = new HeaderReader();
    for (let left = reader.number(); left > 0; left--) headers.add(reader.bytes(), reader.bytes());
    if (reader.at !== end) throw new RangeError('a record that does not end where it says');
    if (offset < fromOffset) continue;
    const timeMs = headers.timeMs ?? (isAppendTime ? appendMs : writtenMs);
    const text = key === null ? null : key.toString('utf8');
    records.push({ topic, partition, offset, key: text, timeMs, headers: headers.all, value });
  }
  return { records, memory: body.buffer === bytes.buffer ? null : body };
}

function unpacked(bytes: Buffer, compression: number): Buffer {
  if (compression === 0) return bytes;
  const algorithm = compressionsAlgorithmsByBitmask[compression];
  if (algorithm === undefined) throw new RangeError(`compression ${compression}`);
  return algorithm.decompressSync(bytes);
}

/** A control batch has one record, whose key is a version and a type. */
function isAbort({ bytes }: RecordBatch): boolean {
  const reader = new RecordReader(bytes);
  reader.at = HEAD_BYTES;
  reader.number();
  reader.at += 1;
  reader.number();
  reader.number();
  return reader.bytes()?.readInt16BE(2) === ABORT;
}

function unreadable({ topic, partition }: Place, offset: number, cause?: unknown): MillraceError {
  const why = `${topic}:${partition}: the batch at offset ${offset} cannot be read`;
  const remedy = `Check the disks of the brokers; kafka-delete-records.sh takes the topic past that batch.`;
  return new MillraceError('ERR_STORE_UNAVAILABLE', why, { cause, remedy });
}

/** Reads what records are made of. Throws RangeError behind the end. */
class RecordReader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** A number of variable length, zigzag; exact up to 2 to the 53. */
  number(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at++]!;
    if (byte < MORE) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & REST;
    let scale = MORE;
    do {
      if (this.at >= bytes.length) throw new RangeError('a number behind the end');
      byte = bytes[this.at++]!;
      value += (byte & REST) * scale;
      scale *= MORE;
    } while (byte >= MORE);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Bytes after their length; null where that is -1. The memory is the batch's. */
  bytes(): Buffer | null {
    const length = this.number();
    if (length < 0) return null;
    const from = this.at;
    this.at = from + length;
    if (this.at > this.#bytes.length) throw new RangeError('bytes behind the end');
    return this.#bytes.subarray(from, this.at);
  }
}
