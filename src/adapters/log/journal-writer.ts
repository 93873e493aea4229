import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { syncFolder } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';
import type { CommitResult, GroupOffset } from '../../core/ports.ts';
import { failpoint, isFailpointArmed } from '../../observability/failpoint.ts';
import { type FrameMeta, framePieces, type Snapshot } from './frame.ts';
import { removeFile, segmentPath, writeError } from './journal-files.ts';
import type { LogIndex } from './log-index.ts';
import { releaseSection, storeSection } from './section-codec.ts';
import type { SharedPositions } from './shared-positions.ts';
import { SpareSegment } from './spare-segment.ts';

/** Commits are merged into one frame up to this many bytes; a single commit may be larger. */
const FRAME_BYTES_MAX = 8 * 1024 * 1024;
/**
 * Bytes after which a segment that grows is worth leaving for a spare one: a log that is hardly written to needs none,
 * and its directory stays small.
 */
const GROWN_BYTES_MAX = 1024 * 1024;

/** Records of one partition, encoded where they were made. */
export interface EncodedAppend {
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** A commit whose records are bytes; it crosses threads as it is. */
export interface EncodedCommit {
  readonly appends: readonly EncodedAppend[];
  readonly offsets: readonly GroupOffset[];
  readonly marks: Uint8Array | null;
  readonly counters: Readonly<Record<string, number>>;
}

/** What the writer is made with. */
export interface WriterOptions {
  readonly directory: string;
  readonly journal: string;
  readonly index: LogIndex;
  readonly positions: SharedPositions;
  /** Whether the last segment may be written to. */
  readonly appendable: boolean;
  readonly segmentBytes: number;
  readonly freeBytesMin: number;
  readonly queueBytesMax: number;
  nowMs(): number;
  /** Called after each frame that became durable, with its size; `closed` where it closed a segment before. */
  onFrame(bytes: number, closed: boolean): void;
}

/** How a commit is written. */
export interface SubmitOptions {
  /** Whether it may wait until its sections are compressed, and all that is written with it. */
  readonly mayCompress?: boolean;
}

interface Waiting extends EncodedCommit {
  readonly bytes: number;
  readonly mayCompress: boolean;
  resolve(result: CommitResult): void;
  reject(error: unknown): void;
}

interface Planned {
  readonly sections: readonly PlannedSection[];
  readonly baseOffsets: readonly (readonly number[])[];
}

interface PlannedSection {
  readonly topic: string;
  readonly partition: number;
  readonly baseOffset: number;
  count: number;
  readonly chunks: Uint8Array[];
  /** False as soon as it has records of a commit that may not wait for it. */
  mayCompress: boolean;
}

/**
 * The one writer of a journal. Whatever waits when a write ends goes into the next: one frame, one write, one
 * sync, however many commits. The index and the shared positions move only after the sync.
 */
export class JournalWriter {
  readonly #options: WriterOptions;
  readonly #queue: Waiting[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | null = null;
  readonly #spare: SpareSegment;
  #file: FileHandle | null = null;
  #base = 0;
  /** Whether the file was a spare: it is longer than what was written to it. */
  #isFilled = false;
  /** Address from which on a spare is made for the file's successor. */
  #spareFrom = Number.MAX_SAFE_INTEGER;
  /** The file before, as long as it is being closed. */
  #leaving: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: WriterOptions) {
    const { directory, journal, segmentBytes, freeBytesMin } = options;
    this.#options = options;
    this.#spare = new SpareSegment({ directory, journal, bytes: segmentBytes, freeBytesMin });
  }

  static async open(options: WriterOptions): Promise<JournalWriter> {
    const writer = new JournalWriter(options);
    const last = options.index.segments.at(-1);
    if (options.appendable && last !== undefined) {
      writer.#file = await open(segmentPath(options.journal, last.base), 'r+');
      writer.#base = last.base;
      writer.#planSpare();
    }
    // A last segment that may not be written to is read as a closed one.
    options.positions.setActiveBase(writer.#file === null ? options.index.address : writer.#base);
    return writer;
  }

  /**
   * Queues a commit; resolves once it is durable. Rejects with ERR_LOG_BEHIND where the queue is full (a commit
   * larger than the queue passes when nothing waits), ERR_DISK_FULL, ERR_LOG_WRITE or ERR_LOG_CLOSED; nothing of
   * it is kept then. Order of calls is order of offsets.
   */
  submit(commit: EncodedCommit, { mayCompress = false }: SubmitOptions = {}): Promise<CommitResult> {
    if (this.#closed) return Promise.reject(new MillraceError('ERR_LOG_CLOSED', 'the log is closed'));
    const bytes = commitBytes(commit);
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#options.queueBytesMax) {
      const why = `${this.#queuedBytes} bytes wait to be written, log.queueBytesMax is ${this.#options.queueBytesMax}`;
      return Promise.reject(new MillraceError('ERR_LOG_BEHIND', why));
    }
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    this.#queue.push({ ...commit, bytes, mayCompress, resolve, reject });
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
    return promise;
  }

  /** Writes what waits, then refuses everything. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    this.#leave();
    await this.#leaving;
    await this.#spare.close();
  }

  async #run(): Promise<void> {
    // Requests that arrived in the same turn of the event loop share the first write.
    await setImmediate();
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        const results = await this.#write(batch);
        for (const [index, waiting] of batch.entries()) waiting.resolve(results[index]!);
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
      for (const waiting of batch) this.#queuedBytes -= waiting.bytes;
    }
    this.#running = null;
  }

  #takeBatch(): readonly Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#queue.length) {
      bytes += this.#queue[count]!.bytes;
      if (count > 0 && bytes > FRAME_BYTES_MAX) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #write(batch: readonly Waiting[]): Promise<readonly CommitResult[]> {
    const { index, segmentBytes, nowMs } = this.#options;
    const planned = planSections(batch, index);
    const sections = await Promise.all(planned.sections.map(toStore));
    const marks = batch.flatMap(waiting => waiting.marks ?? []);
    const bytes = sections.reduce((sum, section) => sum + section.bytes, chunkBytes(marks));
    const isFull = index.address - this.#base + bytes > segmentBytes;
    const isGrown = this.#spare.isReady && !this.#isFilled;
    const isLeft = index.address > this.#base && (isFull || isGrown);
    if (this.#file === null || isLeft) await this.#openSegment();

    const opensSegment = index.address === this.#base;
    const meta = mergeMeta(batch, opensSegment ? index.snapshot() : null);
    const timeMs = nowMs();
    const pieces = framePieces({ address: index.address, timeMs, sections, marks, meta });
    const frameBytes = chunkBytes(pieces);
    try {
      await this.#append(pieces);
    } finally {
      for (const section of sections) releaseSection(section);
    }

    const end = index.address + frameBytes;
    index.applyFrame({ end, timeMs, sections, meta });
    for (const { topic } of sections) this.#options.positions.setTopicEnd(topic, end);
    this.#options.positions.setEnd(end);
    this.#options.onFrame(frameBytes, opensSegment);
    if (end >= this.#spareFrom) this.#prepareSpare();
    return planned.baseOffsets.map(baseOffsets => ({ baseOffsets, position: end }));
  }

  /** Writes and syncs. After a failure the file ends where it did before, or is never written to again. */
  async #append(frame: readonly Uint8Array[]): Promise<void> {
    const file = this.#file!;
    const position = this.#options.index.address - this.#base;
    failpoint('log.beforeWrite');
    try {
      if (isFailpointArmed('log.tornWrite')) await this.#tear(frame, position);
      await writeWhole(file, frame, position);
    } catch (cause) {
      const error = writeError(cause, 'the journal could not be written');
      if (error.code !== 'ERR_DISK_FULL' || !(await cutBack(file, position))) await this.#abandon(position);
      throw error;
    }
    failpoint('log.afterWrite');
    try {
      await file.datasync();
    } catch (cause) {
      // The system forgets pages that it could not write: another sync of this file would succeed and lie.
      await this.#abandon(position);
      const error = writeError(cause, 'the journal could not be synced');
      throw new MillraceError('ERR_LOG_WRITE', error.why, { cause });
    }
    failpoint('log.afterSync');
  }

  /**
   * Leaves the segment: the next commit opens a new one at the same address. What a cut that fails leaves
   * behind lies beyond that address, where neither readers nor recovery look.
   */
  async #abandon(position: number): Promise<void> {
    const file = this.#file!;
    this.#file = null;
    this.#isFilled = false;
    await cutBack(file, position);
    // What closing says of a file that failed is known already.
    await file.close().catch(() => undefined);
  }

  async #tear(frame: readonly Uint8Array[], position: number): Promise<void> {
    const whole = Buffer.concat(frame);
    await writeWhole(this.#file!, [whole.subarray(0, whole.length >> 1)], position);
    failpoint('log.tornWrite');
  }

  async #openSegment(): Promise<void> {
    const { index, positions } = this.#options;
    this.#leave();
    const path = segmentPath(this.#options.journal, index.address);
    try {
      const spare = await this.#spare.take(index.address);
      this.#file = spare ?? (await this.#createSegment(path));
      this.#isFilled = spare !== null;
    } catch (error) {
      throw writeError(error, 'a journal segment could not be created');
    }
    failpoint('log.afterSegmentCreate');
    this.#base = index.address;
    if (index.segments.at(-1)?.base !== this.#base) index.addSegment(this.#base);
    positions.setActiveBase(this.#base);
    this.#planSpare();
  }

  async #createSegment(path: string): Promise<FileHandle> {
    const { journal } = this.#options;
    await this.#spare.settle();
    // A file of this name holds nothing durable: a segment that failed before its first frame.
    await removeFile(journal, path);
    const file = await open(path, 'wx+', 0o600);
    await syncFolder(journal);
    return file;
  }

  /** Closes the file, cut to what was written, beside what comes next: nobody reads behind the next one's base. */
  #leave(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    const position = this.#options.index.address - this.#base;
    const cut = this.#isFilled ? cutBack(file, position) : Promise.resolve(true);
    // All its frames are synced: what closing says of the file changes nothing.
    const left = cut.then(() => file.close()).catch(() => undefined);
    this.#leaving = Promise.all([this.#leaving, left]).then(() => undefined);
  }

  /** A file that grows is left early; for one that was a spare, the next is made when half of it is used. */
  #planSpare(): void {
    const { index, segmentBytes } = this.#options;
    const half = segmentBytes / 2;
    this.#spareFrom = index.address + (this.#isFilled ? half : Math.min(half, GROWN_BYTES_MAX));
  }

  #prepareSpare(): void {
    this.#spareFrom = Number.MAX_SAFE_INTEGER;
    this.#spare.prepare();
  }
}

/** Bytes of a commit's records and marks. */
export function commitBytes(commit: EncodedCommit): number {
  const records = commit.appends.reduce((sum, append) => sum + append.bytes.byteLength, 0);
  return records + (commit.marks?.byteLength ?? 0);
}

function planSections(batch: readonly Waiting[], index: LogIndex): Planned {
  const sections = new Map<string, PlannedSection>();
  const baseOffsets = batch.map(commit =>
    commit.appends.map(({ topic, partition, count, bytes }) => {
      const key = `${topic}\n${partition}`;
      const section = sections.get(key);
      if (section === undefined) {
        const baseOffset = index.head(topic, partition).next;
        const { mayCompress } = commit;
        if (count > 0)
          sections.set(key, { topic, partition, baseOffset, count, chunks: [bytes], mayCompress });
        return baseOffset;
      }
      const offset = section.baseOffset + section.count;
      section.count += count;
      section.chunks.push(bytes);
      section.mayCompress &&= commit.mayCompress;
      return offset;
    }),
  );
  return { sections: [...sections.values()], baseOffsets };
}

/** A section as the frame has it. */
async function toStore(section: PlannedSection) {
  const recordsBytes = chunkBytes(section.chunks);
  return { ...section, recordsBytes, ...(await storeSection(section.chunks, recordsBytes, section)) };
}

/** The last of equal group offsets wins, as it would commit by commit; counters add up. */
function mergeMeta(batch: readonly EncodedCommit[], snapshot: Snapshot | null): FrameMeta {
  const counters: Record<string, number> = {};
  for (const commit of batch) {
    for (const [name, delta] of Object.entries(commit.counters))
      counters[name] = (counters[name] ?? 0) + delta;
  }
  return { offsets: batch.flatMap(commit => commit.offsets), counters, snapshot };
}

function chunkBytes(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

/** False where the file could not be cut: it must not be written to again. */
async function cutBack(file: FileHandle, position: number): Promise<boolean> {
  try {
    await file.truncate(position);
    return true;
  } catch {
    return false;
  }
}

/** Writes the pieces where they lie: a frame is not put together in memory. */
async function writeWhole(file: FileHandle, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let left = pieces.filter(piece => piece.byteLength > 0);
  let at = position;
  while (left.length > 0) {
    const { bytesWritten } = await file.writev(left, at);
    at += bytesWritten;
    left = piecesAfter(left, bytesWritten);
  }
}

/** What is left of the pieces after their first bytes. */
function piecesAfter(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skipped = bytes;
  for (const [index, piece] of pieces.entries()) {
    if (skipped < piece.byteLength) return [piece.subarray(skipped), ...pieces.slice(index + 1)];
    skipped -= piece.byteLength;
  }
  return [];
}
