import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { MillraceError } from '../core/errors.ts';

/** A line of a file that holds more than blanks: its number from 1, its bytes without the line end. */
export interface Line {
  readonly line: number;
  readonly bytes: Buffer;
}

// The largest body that the server reads, even to refuse it.
const LINE_BYTES_MAX = 64 * 1024 * 1024;
const LINE_FEED = 0x0a;

/**
 * The lines of a file that are not blank, in order, while the file is read; "-" is standard input. Throws
 * ERR_FILE_UNREADABLE, also where a line is longer than 64 MiB.
 */
export function readLines(path: string): AsyncGenerator<Line> {
  return splitLines(readChunks(path), path);
}

/** The lines of bytes that come in chunks, as {@link readLines}; `name` is what errors call their source. */
export async function* splitLines(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Line> {
  let line = 1;
  let parts: Buffer[] = [];
  let partBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const bytes = Buffer.concat([...parts, chunk.subarray(start, end)]);
      if (!isBlank(bytes)) yield { line, bytes };
      parts = [];
      partBytes = 0;
      start = end + 1;
      line++;
    }
    parts.push(chunk.subarray(start));
    partBytes += chunk.length - start;
    if (partBytes > LINE_BYTES_MAX) {
      throw new MillraceError(
        'ERR_FILE_UNREADABLE',
        `${name}:${line} is longer than ${LINE_BYTES_MAX} bytes`,
      );
    }
  }
  const bytes = Buffer.concat(parts);
  if (!isBlank(bytes)) yield { line, bytes };
}

/** Bounds of a group of lines; both hold at once, but a single longer line makes a group of its own. */
export interface GroupLimit {
  readonly linesMax: number;
  readonly bytesMax: number;
}

/** What one request of lines takes to the server: far less than it refuses, often enough to show progress. */
export const REQUEST_LIMIT: GroupLimit = { linesMax: 5000, bytesMax: 4 * 1024 * 1024 };

/** Gathers lines into groups that stay within the limit (a line end is counted for each); none is empty. */
export async function* groupLines(
  lines: AsyncIterable<Line>,
  limit: GroupLimit,
): AsyncGenerator<readonly Line[]> {
  let group: Line[] = [];
  let groupBytes = 0;
  for await (const line of lines) {
    const bytes = line.bytes.length + 1;
    if (group.length > 0 && (group.length >= limit.linesMax || groupBytes + bytes > limit.bytesMax)) {
      yield group;
      group = [];
      groupBytes = 0;
    }
    group.push(line);
    groupBytes += bytes;
  }
  if (group.length > 0) yield group;
}

/** The lines as one body of JSON lines. */
export function joinLines(lines: readonly Line[]): Buffer {
  const lineFeed = Buffer.of(LINE_FEED);
  return Buffer.concat(lines.flatMap(({ bytes }) => [bytes, lineFeed]));
}

/** The whole text of a small file; "-" is standard input. Throws ERR_FILE_UNREADABLE past `bytesMax`. */
export async function readText(path: string, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of readChunks(path)) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new MillraceError('ERR_FILE_UNREADABLE', `${path} is larger than ${bytesMax} bytes`);
    }
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The bytes of a file in the order of the file; "-" is standard input. Throws ERR_FILE_UNREADABLE. */
export async function* readChunks(path: string): AsyncGenerator<Buffer> {
  const stream: Readable = path === '-' ? process.stdin : createReadStream(path);
  try {
    for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
  } catch (cause) {
    throw new MillraceError('ERR_FILE_UNREADABLE', cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
