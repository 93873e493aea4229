import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompressSync } from 'node:zlib';
import { assert } from '../../core/errors.ts';
import { freeMemory } from '../../core/free-memory.ts';
import { RECORD_BYTES_MIN } from './record-codec.ts';

/**
 * A shorter section stays as it is. A thread of zlib compresses, and asking it takes as much as compressing 200 KB; who
 * writes so little at a time gains nothing by it.
 */
const COMPRESSED_BYTES_MIN = 256 * 1024;
/**
 * No section is compressed further than this, which bounds the records that damaged bytes can have held; a skippable
 * frame fills what is lacking.
 */
const RATIO_MAX = 16;
/** Frames that decoders pass over (RFC 8878, 3.1.2): u32 magic, u32 bytes, both little-endian, then the bytes. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_HEADER_BYTES = 8;
/** Not zero, so that the end of what was written to a file full of zeros can be told. */
const FILLING = 0xff;

const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };
const zstd = promisify(zstdCompress);

/** The bytes of a section as a frame has them. */
export interface StoredSection {
  readonly chunks: readonly Uint8Array[];
  /** Bytes of the chunks, fewer than before where it is compressed. */
  readonly bytes: number;
  readonly isCompressed: boolean;
}

/** Most records that so many bytes of a journal can hold. */
export function recordsMax(bytes: number): number {
  return Math.ceil((bytes * RATIO_MAX) / RECORD_BYTES_MIN);
}

/** Stores a section, given as chunks that follow each other: compressed where it may be and that makes it shorter. */
export async function storeSection(
  chunks: readonly Uint8Array[],
  bytes: number,
  { mayCompress }: { readonly mayCompress: boolean },
): Promise<StoredSection> {
  const plain = { chunks, bytes, isCompressed: false };
  if (!mayCompress || bytes < COMPRESSED_BYTES_MIN) return plain;
  const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
  // One piece for nearly all sections: each further one is another turn through the thread.
  const compressed = await zstd(whole, { params: PARAMS, chunkSize: bytes >> 3 });
  const filling = fillingOf(bytes / RATIO_MAX - compressed.length);
  const total = compressed.length + filling.length;
  return total < bytes ? { chunks: [compressed, filling], bytes: total, isCompressed: true } : plain;
}

/** Frees the memory that {@link storeSection} took. */
export function releaseSection({ chunks, isCompressed }: Omit<StoredSection, 'bytes'>): void {
  if (isCompressed) for (const chunk of chunks) freeMemory(chunk);
}

/**
 * A section's own bytes from those of {@link storeSection}, which were fewer; in `target` of their length, or in
 * memory of their own.
 */
export function decompressSection(stored: Uint8Array, bytes: number, target?: Buffer): Buffer {
  // With room for a byte more zlib need not ask whether there is more, for which it takes memory of the same size.
  const section = zstdDecompressSync(stored, { chunkSize: bytes + 1, maxOutputLength: bytes + 1 });
  assert(section.length === bytes, 'a section is as long as its frame says');
  if (target === undefined) return section;
  section.copy(target);
  freeMemory(section);
  return target;
}

function fillingOf(lacking: number): Uint8Array {
  if (lacking <= 0) return new Uint8Array(0);
  const filling = Buffer.alloc(Math.max(SKIPPABLE_HEADER_BYTES, Math.ceil(lacking)), FILLING);
  filling.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  filling.writeUInt32LE(filling.length - SKIPPABLE_HEADER_BYTES, 4);
  return filling;
}
