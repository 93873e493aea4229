import { promisify } from 'node:util';
import { constants, gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import type { Codec } from './object-name.ts';

const gzipText = promisify(gzip);
const gunzipText = promisify(gunzip);
const zstdText = promisify(zstdCompress);
const unzstdText = promisify(zstdDecompress);

// Level 1 is the fastest; the pipeline shares the machine with what it archives for. The checksum lets a
// damaged object be told from a whole one without its entry.
const ZSTD_PARAMS = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_checksumFlag]: 1,
};
const GZIP_LEVEL = 6;
// Each piece of the result is a turn through a thread of files and back: of the default 16 KiB that was 200 an object.
const PIECE_BYTES = 1024 * 1024;
// Far above what objects are cut at; keeps a forged object from filling the memory.
const TEXT_BYTES_MAX = 1024 * 1024 * 1024;

/** Compresses an object's text to one frame; the same text gives the same bytes. */
export async function compress(codec: Codec, text: Uint8Array): Promise<Uint8Array> {
  if (codec === 'gzip') return gzipText(text, { level: GZIP_LEVEL, chunkSize: PIECE_BYTES });
  return zstdText(text, { params: ZSTD_PARAMS, chunkSize: PIECE_BYTES });
}

/** The text of an object; rejects where it is damaged or larger than 1 GiB. */
export async function decompress(codec: Codec, bytes: Uint8Array): Promise<Uint8Array> {
  if (codec === 'gzip') return gunzipText(bytes, { maxOutputLength: TEXT_BYTES_MAX });
  return unzstdText(bytes, { maxOutputLength: TEXT_BYTES_MAX });
}
