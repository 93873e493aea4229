import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncFolder } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';
import type { QuarantinedRange } from '../../core/ports.ts';
import type { Logger } from '../../observability/logger.ts';
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { fileBytes, listSegments, type SegmentFile, segmentPath, writeError } from './journal-files.ts';
import { LogIndex } from './log-index.ts';
import { adoptSpare } from './spare-segment.ts';
import { surveySegment } from './survey.ts';
import { scanTail, type Tail } from './tail-scan.ts';
import type { TopicTable } from './topic-table.ts';

/** What opening a directory found. */
export interface Recovered {
  readonly index: LogIndex;
  /** True where the last segment's file ends at the index's address, so that writing may go on in it. */
  readonly appendable: boolean;
}

/** Where the log of a directory keeps what. */
export interface LogPaths {
  readonly directory: string;
  readonly journal: string;
  readonly quarantine: string;
}

/** The paths below a log's directory, which are created where they are missing. */
export async function preparePaths(directory: string): Promise<LogPaths> {
  const paths = {
    directory,
    journal: join(directory, 'journal'),
    quarantine: join(directory, 'quarantine'),
  };
  await mkdir(paths.journal, { recursive: true, mode: 0o700 });
  await mkdir(paths.quarantine, { recursive: true, mode: 0o700 });
  await syncFolder(directory);
  return paths;
}

/**
 * Brings a directory to the state of its last durable frame, whatever killed the process that wrote it: reads
 * the checkpoint, holds the segments it names against the files, and takes in the frames written since.
 * Bytes that cannot be read are kept in `quarantine/`; the offsets they can have held are quarantined and
 * never given out again, because a sink may have passed them. See docs/decisions/0002-embedded-log.md.
 */
export async function recoverLog(paths: LogPaths, topics: TopicTable, logger: Logger): Promise<Recovered> {
  await adoptSpare(paths, logger);
  const found = await readCheckpoint(paths.directory);
  if (found === 'damaged') logger.warn('log checkpoint damaged, reading the whole journal');
  const checkpoint = found === 'damaged' ? undefined : found;
  const index = checkpoint?.index ?? new LogIndex();
  for (const { topic, partitions } of topics.specs) index.head(topic, partitions - 1);
  await setAsideStrays(paths, index, logger);
  const checked = await checkSegments(paths, index);

  const files = await listSegments(paths.journal);
  const tail = await scanTail({ files, index, fresh: checkpoint === undefined });
  checkPartitions(index, topics);
  // Only now are the groups' offsets those of the end, which is what retention went by.
  const unread = checked.retired.flatMap(range => unreadPart(index, range));
  for (const range of unread) index.quarantine(range);
  const lost = [...checked.lost, ...unread, ...tail.lost];
  for (const range of lost) logger.warn({ ...range }, 'log records cannot be read, offsets quarantined');
  // One of an earlier version is replaced before a frame is written that it would take for damage.
  const isToBeWritten = lost.length > 0 || tail.isSuspect || checkpoint?.isCurrent === false;
  return { index, appendable: await settleTail(paths, index, { tail, isToBeWritten }) };
}

/** Throws ERR_CONFIG_INVALID where a topic is declared with fewer partitions than it has. */
function checkPartitions(index: LogIndex, topics: TopicTable): void {
  for (const { topic, partitions } of topics.specs) {
    const known = index.topics.get(topic)?.length ?? 0;
    if (known <= partitions) continue;
    const why = `log.partitions: ${topic} has ${known} partitions, ${partitions} are configured`;
    throw new MillraceError('ERR_CONFIG_INVALID', why, { remedy: 'Partitions may grow, never shrink.' });
  }
}

/** Files below the checkpoint's address that it does not name would shadow those that it does. */
async function setAsideStrays(paths: LogPaths, index: LogIndex, logger: Logger): Promise<void> {
  if (index.segments.length === 0) return;
  const named = new Set(index.segments.map(segment => segment.base));
  const files = await listSegments(paths.journal);
  for (const file of files.filter(({ base }) => base < index.address && !named.has(base))) {
    logger.warn({ file: basename(file.path) }, 'log segment unknown to the checkpoint set aside');
    await rename(file.path, join(paths.quarantine, basename(file.path)));
  }
}

/**
 * Holds the checkpoint's segments against the files. `lost` is what short and missing ones held and is
 * quarantined; `retired` what the oldest held that are gone: retention removes a file before the checkpoint
 * says so, so that it works on a full disk.
 */
async function checkSegments(paths: LogPaths, index: LogIndex) {
  const lost: QuarantinedRange[] = [];
  const retired: QuarantinedRange[] = [];
  for (const summary of [...index.segments]) {
    const path = segmentPath(paths.journal, summary.base);
    const bytes = await fileBytes(path);
    if (bytes !== undefined && summary.base + bytes >= summary.end) continue;
    const ranges = await surveySegment(path, summary);
    const isOldest = index.segments[0] === summary;
    (bytes === undefined && isOldest ? retired : lost).push(...ranges);
    if (bytes === undefined) index.segments.splice(index.segments.indexOf(summary), 1);
    else summary.end = summary.base + bytes;
  }
  for (const range of lost) index.quarantine(range);
  return { lost, retired };
}

/** The part of a range that a group has yet to read; none where no group reads it. */
function unreadPart(index: LogIndex, range: QuarantinedRange): readonly QuarantinedRange[] {
  const rows = [...index.groupOffsets()].filter(
    row => row.topic === range.topic && row.partition === range.partition,
  );
  const slowest = Math.min(...rows.map(row => row.offset));
  const fromOffset = Math.max(range.fromOffset, slowest);
  return fromOffset < range.toOffset ? [{ ...range, fromOffset }] : [];
}

/**
 * Cuts off what is no frame. Where it may have been acknowledged once, it is copied first and the checkpoint
 * says what is lost before the bytes go, and its addresses are not used again: a state snapshot may name one.
 */
async function settleTail(
  paths: LogPaths,
  index: LogIndex,
  found: { readonly tail: Tail; readonly isToBeWritten: boolean },
): Promise<boolean> {
  const { tail, isToBeWritten } = found;
  const { file } = tail;
  try {
    if (tail.isSuspect && file !== null) {
      await setAside(paths, file, tail);
      index.address = tail.usedEnd;
    }
    if (isToBeWritten) await writeCheckpoint(paths.directory, index);
    if (file !== null) await makeDurable(paths, file, tail);
  } catch (error) {
    throw writeError(error, `recovery of ${paths.directory}`);
  }
  return file !== null && index.address === tail.validEnd;
}

async function setAside(paths: LogPaths, file: SegmentFile, { validEnd, usedEnd }: Tail): Promise<void> {
  const target = join(paths.quarantine, `${String(validEnd).padStart(20, '0')}.bytes`);
  await pipeline(
    // `end` is inclusive.
    createReadStream(file.path, { start: validEnd - file.base, end: usedEnd - file.base - 1 }),
    createWriteStream(target, { flush: true, mode: 0o600 }),
  );
  await syncFolder(paths.quarantine);
}

/**
 * Cuts the file to its last frame and syncs it: a frame that a killed process wrote and did not sync is whole
 * in the page cache, and readers are about to be shown it.
 */
async function makeDurable(paths: LogPaths, file: SegmentFile, tail: Tail): Promise<void> {
  const handle = await open(file.path, 'r+');
  try {
    if (tail.validEnd < tail.fileEnd) await handle.truncate(tail.validEnd - file.base);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(paths.journal);
}
