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
 * Up to {@link SYNC_BYTES_MAX} it runs at once, which is cheaper than a trip to the thread pool; larger bodies
 * run there, {@link CONCURRENT_MAX} at a time, so that what they grow to in memory is bounded.
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
    if (bytes.length > SYNC_BYTES_MAX) {
      return await gate.run(() => inPieces(STREAM[format]({ chunkSize: CHUNK_BYTES_MAX }), bytes, bytesMax));
    }
    return SYNC[format](bytes, { maxOutputLength: bytesMax, chunkSize: chunkBytesOf(bytes, format) });
  } catch (error) {
    return refusalOf(error, bytesMax);
  }
}

/** Compressed bodies up to this size, bytes, are inflated on the spot. */
const SYNC_BYTES_MAX = 64 * 1024;
/** Larger bodies inflated at once: as many as the thread pool has threads. */
const CONCURRENT_MAX = 4;

const SYNC = { gzip: gunzipSync, deflate: inflateSync, raw: inflateRawSync, br: brotliDecompressSync };
const STREAM = {
  gzip: createGunzip,
  deflate: createInflate,
  raw: createInflateRaw,
  br: createBrotliDecompress,
};

/** Inflates by the thread pool, and frees each piece: what a bomb comes to would wait as long as it liked. */
async function inPieces(stream: Transform, bytes: Buffer, bytesMax: number) {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    stream.end(bytes);
    for await (const piece of stream as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > bytesMax) return tooLarge(bytesMax);
    }
    return Buffer.concat(pieces, length);
  } finally {
    // The decoder is done with those that it filled; with one that has room left it may go on.
    for (const piece of pieces) if (piece.length === piece.buffer.byteLength) freeMemory(piece);
  }
}

const CHUNK_BYTES = 16 * 1024;
const CHUNK_BYTES_MAX = 256 * 1024;

/**
 * How much to inflate at a time. Gzip ends with the length of what it holds (RFC 1952), and one piece of that size
 * costs half as much as pieces that are put together; it is a sender's word, so it is only believed up to a bound.
 */
function chunkBytesOf(bytes: Buffer, format: keyof typeof SYNC): number {
  if (format !== 'gzip' || bytes.length < 4) return CHUNK_BYTES;
  // One more than it holds, or the decoder asks for a second piece to find that nothing is left.
  const declaredBytes = bytes.readUInt32LE(bytes.length - 4) + 1;
  return Math.min(Math.max(declaredBytes, CHUNK_BYTES), CHUNK_BYTES_MAX);
}

/** RFC 1950: method 8 in the low bits, and the first two bytes are a multiple of 31. */
function hasZlibHeader(bytes: Buffer): boolean {
  return bytes.length >= 2 && (bytes[0]! & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
}

// Those that wait hold more than SYNC_BYTES_MAX each of ingest.inFlightBytesMax, which bounds how many.
const gate = createGate(CONCURRENT_MAX);

function refusalOf(error: unknown, bytesMax: number): MillraceError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(bytesMax);
  return new MillraceError('ERR_BODY_ENCODING', `the decoder says ${String(code)}`, { cause: error });
}

function tooLarge(bytesMax: number): MillraceError {
  return new MillraceError('ERR_BODY_TOO_LARGE', `it inflates to more than ${bytesMax} bytes`);
}
