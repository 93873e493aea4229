import type { Transform } from 'node:stream';
import {
  brotliDecompressSync,
  constants,
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
 * What comes to little is inflated on the spot, which is cheaper than a trip to the thread pool; all else runs there,
 * {@link CONCURRENT_MAX} at a time, so that what they grow to in memory is bounded.
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
    return await gate.run(() => inflateAside(STREAM[format]({ chunkSize: CHUNK_BYTES }), bytes, bytesMax));
  } catch (error) {
    return refusalOf(error);
  }
}

/** Longer compressed bodies are never inflated on the spot, bytes: what comes to nothing takes its time too. */
const SYNC_BYTES_MAX = 64 * 1024;
/** What gzip may come to on the spot, bytes: a millisecond or two of the thread. It says what it comes to. */
const DECLARED_BYTES_MAX = 1024 * 1024;
/** The same for formats that do not say: what a body of more was inflated to until then lies about to be collected. */
const UNDECLARED_BYTES_MAX = 256 * 1024;
/** Bodies inflated aside at once: as many as the thread pool has threads. */
const CONCURRENT_MAX = 4;

const SYNC = { gzip: gunzipSync, deflate: inflateSync, raw: inflateRawSync, br: brotliDecompressSync };
const STREAM = {
  gzip: createGunzip,
  deflate: createInflate,
  raw: createInflateRaw,
  br: createBrotliDecompress,
};

const CHUNK_BYTES = 256 * 1024;

/** Null where the body is or comes to more than is inflated on the spot. */
function inflateShort(bytes: Buffer, format: keyof typeof SYNC, bytesMax: number): Buffer | null {
  if (bytes.length > SYNC_BYTES_MAX) return null;
  const declaredBytes = format === 'gzip' ? declaredBytesOf(bytes) : null;
  const lengthMax = declaredBytes ?? Math.min(UNDECLARED_BYTES_MAX, bytesMax);
  if (lengthMax > Math.min(DECLARED_BYTES_MAX, bytesMax)) return null;
  // One piece, which costs half as much as pieces that are put together; the byte more, or the decoder asks for a
  // second one to find that nothing is left.
  const pieceBytes = declaredBytes === null ? constants.Z_DEFAULT_CHUNK : declaredBytes + 1;
  const chunkSize = Math.max(pieceBytes, constants.Z_MIN_CHUNK);
  try {
    return SYNC[format](bytes, { maxOutputLength: Math.max(lengthMax, 1), chunkSize });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return null;
    throw error;
  }
}

/** The length that gzip ends with (RFC 1952): a sender's word, and of several gzips in a row the last one's. */
function declaredBytesOf(gzip: Buffer): number {
  return gzip.length < 4 ? 0 : gzip.readUInt32LE(gzip.length - 4);
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

// Those that wait have a connection each and their part of ingest.inFlightBytesMax, which bounds how many.
const gate = createGate(CONCURRENT_MAX);

function refusalOf(error: unknown): MillraceError {
  return new MillraceError('ERR_BODY_ENCODING', `the decoder says ${codeOf(error)}`, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
