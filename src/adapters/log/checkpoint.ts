import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolder } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';
import { failpoint } from '../../observability/failpoint.ts';
import type { Snapshot } from './frame.ts';
import { isMissing } from './journal-files.ts';
import { LogIndex } from './log-index.ts';

/** Raised when what a checkpoint says, or a frame, changes its meaning. */
const FORMAT = 2;
/** The oldest that is read: what it says of a log has the same meaning since. */
const FORMAT_MIN = 1;

/** A checkpoint that was read. */
export interface Checkpoint {
  readonly index: LogIndex;
  /** False where an earlier version wrote it, which would take frames of this one for damage. */
  readonly isCurrent: boolean;
}

interface CheckpointDocument {
  readonly format: number;
  readonly address: number;
  readonly snapshot: Snapshot;
  readonly segments: readonly {
    readonly base: number;
    readonly end: number;
    readonly lastTimeMs: number;
    /** By topic: partition, first, next, bytes, end. */
    readonly held: Readonly<Record<string, readonly (readonly [number, number, number, number, number])[]>>;
  }[];
}

/**
 * Writes the index as it is at the call. Whole or not at all: a crash at any step leaves the old checkpoint
 * or the new one. The file is the CRC32 of the rest in eight hex digits, a space, and JSON.
 */
export async function writeCheckpoint(directory: string, index: LogIndex): Promise<void> {
  const text = JSON.stringify(documentOf(index));
  failpoint('log.beforeCheckpoint');
  const path = join(directory, 'checkpoint');
  const handle = await open(`${path}.new`, 'w');
  try {
    await handle.writeFile(`${crc32(text).toString(16).padStart(8, '0')} ${text}`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  failpoint('log.afterCheckpointWrite');
  await rename(`${path}.new`, path);
  failpoint('log.afterCheckpointRename');
  await syncFolder(directory);
}

/**
 * The last checkpoint; undefined where there is none, `damaged` where it cannot be read: the journal alone
 * tells the same then, only slower. Throws ERR_DATA_FORMAT where a later version wrote it.
 */
export async function readCheckpoint(directory: string): Promise<Checkpoint | 'damaged' | undefined> {
  const path = join(directory, 'checkpoint');
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const crc = bytes.toString('latin1', 0, 8);
  if (!/^[0-9a-f]{8}$/.test(crc) || Number.parseInt(crc, 16) !== crc32(bytes.subarray(9))) return 'damaged';
  const document = JSON.parse(bytes.toString('utf8', 9)) as CheckpointDocument;
  const { format } = document;
  if (!(format >= FORMAT_MIN && format <= FORMAT)) {
    throw new MillraceError('ERR_DATA_FORMAT', `${path} has format ${format}, this version writes ${FORMAT}`);
  }
  return { index: indexOf(document), isCurrent: format === FORMAT };
}

function documentOf(index: LogIndex): CheckpointDocument {
  const segments = index.segments.map(({ base, end, lastTimeMs, held }) => ({
    base,
    end,
    lastTimeMs,
    held: Object.fromEntries(
      Array.from(held, ([topic, ranges]) => [
        topic,
        ranges.map(range => [range.partition, range.first, range.next, range.bytes, range.end] as const),
      ]),
    ),
  }));
  return { format: FORMAT, address: index.address, snapshot: index.snapshot(), segments };
}

function indexOf(document: CheckpointDocument): LogIndex {
  const index = new LogIndex();
  index.adopt(document.snapshot);
  for (const { base, end: segmentEnd, lastTimeMs, held } of document.segments) {
    const segment = index.addSegment(base);
    segment.end = segmentEnd;
    segment.lastTimeMs = lastTimeMs;
    for (const [topic, ranges] of Object.entries(held)) {
      const rows = ranges.map(([partition, first, next, bytes, end]) => ({
        partition,
        first,
        next,
        bytes,
        end,
      }));
      segment.held.set(topic, rows);
    }
  }
  index.address = document.address;
  return index;
}
