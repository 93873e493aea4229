import type { Transform } from 'node:stream';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  gunzipSync,
  inflateRawSync,
  inflateSync,
} from 'node:zlib';
import { MillraceError } from '../../core/errors.ts';
import { freeMemory } from '../../core/free-memory.ts';
import { createGate } from './gate.ts';

/** A content-encoding that is understood. */
export type Encoding = 'identity' | 'gzip' | 'deflate' | 'br';

/** Reads a content-encoding header; null where it names another encoding or several. */
export function encodingOf(header: string | undefined): Encoding | null {
  const name = (header ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return 'identity';
  if (name === 'gzip' || name === 'x-gzip') return 'gzip';
  return name === 'deflate' || name === 'br' ? name : null;
}

/**
 * Inflates a body; more than `bytesMax` stops as soon as it is passed. `deflate` is read as zlib's format or
 * raw, because clients send both by that name.
 *
 * A short one ({@link SYNC_BYTES_MAX}, {@link SYNC_INFLATED_BYTES_MAX}) is inflated at once, which is cheaper than a
 * trip to the thread pool; the others run there, {@link CONCURRENT_MAX} at a time, so that what they grow to in memory
 * is bounded.
 * @returns the inflated bytes, in memory of their own or of Node's pool (the bytes themselves for `identity`), or why
 *          the body is refused
 */
export async function inflateBody(
  bytes: Buffer,
  encoding: Encoding,
  bytesMax: number,
): Promise<Buffer | MillraceError> {
  if (encoding === 'identity') return bytes;
  const format = encoding === 'deflate' && !hasZlibHeader(bytes) ? 'raw' : encoding;
  try {
    const inflated = inflateShort(bytes, format, bytesMax);
    if (inflated !== null) return inflated;
    return await gate.run(() =>
      inflateAside(STREAM[format]({ chunkSize: CHUNK_BYTES_MAX }), bytes, bytesMax),
    );
  } catch (error) {
    return refusalOf(error);
  }
}

/** Compressed bodies up to this size, bytes, are inflated at once. */
const SYNC_BYTES_MAX = 64 * 1024;
/**
 * What they may come to, bytes: ten or twenty times that size is what telemetry packs to. A bomb comes to a thousand
 * times, and nobody could free what it comes to here.
 */
const SYNC_INFLATED_BYTES_MAX = 1024 * 1024;
/** Larger bodies inflated at once: as many as the thread pool has threads. */
const CONCURRENT_MAX = 4;

const SYNC = { gzip: gunzipSync, deflate: inflateSync, raw: inflateRawSync, br: brotliDecompressSync };
const STREAM = {
  gzip: createGunzip,
  deflate: createInflate,
  raw: createInflateRaw,
  br: createBrotliDecompress,
};

/** Null where the body or what it comes to is too long for this way. */
function inflateShort(bytes: Buffer, format: keyof typeof SYNC, bytesMax: number): Buffer | null {
  const declaredBytes = format === 'gzip' ? declaredBytesOf(bytes) : 0;
  if (bytes.length > SYNC_BYTES_MAX || declaredBytes > SYNC_INFLATED_BYTES_MAX) return null;
  // One more than it holds, or the decoder asks for a second piece to find that nothing is left.
  const chunkSize = Math.min(Math.max(declaredBytes + 1, CHUNK_BYTES), CHUNK_BYTES_MAX);
  try {
    return SYNC[format](bytes, { maxOutputLength: Math.min(bytesMax, SYNC_INFLATED_BYTES_MAX), chunkSize });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return null;
    throw error;
  }
}

const CHUNK_BYTES = 16 * 1024;
const CHUNK_BYTES_MAX = 256 * 1024;

/**
 * The length that gzip ends with of what it holds (RFC 1952): one piece of that size costs half as much as pieces
 * that are put together. It is a sender's word, so it is only believed up to a bound.
 */
function declaredBytesOf(bytes: Buffer): number {
  return bytes.length < 4 ? 0 : bytes.readUInt32LE(bytes.length - 4);
}

/**
 * Inflates by the thread pool, and frees each piece: what a bomb comes to would wait as long as it liked. The stream
 * flows, so that no piece waits in it when it is destroyed.
 */
async function inflateAside(stream: Transform, bytes: Buffer, bytesMax: number) {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | MillraceError>();
  const pieces: Buffer[] = [];
  let length = 0;
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length <= bytesMax) return;
    stream.destroy();
    resolve(new MillraceError('ERR_BODY_TOO_LARGE', `it inflates to more than ${bytesMax} bytes`));
  });
  stream.once('end', () => resolve(Buffer.concat(pieces, length)));
  stream.once('error', reject);
  stream.end(bytes);
  try {
    return await promise;
  } finally {
    // The decoder is at rest each time that one of the three is told, and is not asked again.
    for (const piece of pieces) freeMemory(piece);
  }
}

/** RFC 1950: method 8 in the low bits, and the first two bytes are a multiple of 31. */
function hasZlibHeader(bytes: Buffer): boolean {
  return bytes.length >= 2 && (bytes[0]! & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
}

// Those that wait hold more than SYNC_BYTES_MAX each of ingest.inFlightBytesMax, which bounds how many.
const gate = createGate(CONCURRENT_MAX);

function refusalOf(error: unknown): MillraceError {
  return new MillraceError('ERR_BODY_ENCODING', `the decoder says ${codeOf(error)}`, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
