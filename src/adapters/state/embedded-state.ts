import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { putFile } from '../../config/put-file.ts';
import { assert } from '../../core/errors.ts';
import type { Mark } from '../../core/job.ts';
import type { StateStore } from '../../core/ports.ts';
import { KeyDigests } from './key-digests.ts';
import { MarkTables } from './mark-tables.ts';
import { loadSnapshot, saveSnapshot } from './snapshot.ts';

const BYTES_PER_MARK = 24;
const SEEDS_BYTES = 16;
const SEEDS_AND_CRC_BYTES = SEEDS_BYTES + 4;
const SNAPSHOT_LOG_BYTES_MIN = 64 * 1024 * 1024;

/** What the embedded store needs. */
export interface EmbeddedStateOptions {
  readonly directory: string;
  /** How long a mark lives, ms. */
  readonly ttlMs: number;
  /** The marks that the log holds after a position, in order: what a snapshot lacks. */
  readonly marksFrom: (position: number) => AsyncIterable<{ position: number; marks: Uint8Array }>;
  /** Tells the log that marks before this position are in a snapshot. */
  readonly keepFrom: (position: number) => void;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Whether so much log since the last snapshot makes the next one due; {@link isWorthSnapshot} where absent. */
  readonly isDue?: (logBytes: number, tableBytes: number) => boolean;
}

/** A store that one process owns: marks never conflict. */
export interface EmbeddedState extends StateStore {
  /** Keys that are remembered. */
  readonly count: number;
  mark(marks: readonly Mark[], isMore?: boolean): Promise<Uint8Array | null>;
}

/**
 * The in-process store of first sightings: exact (128-bit digests under a secret seed), rebuilt at start from
 * its snapshot plus the marks in the log after it. Marks become durable inside the log's commit, together with
 * the outputs they stand for, so neither can exist without the other.
 */
export async function openEmbeddedState(options: EmbeddedStateOptions): Promise<EmbeddedState> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const digests = await KeyDigests.create(await loadSeeds(options));
  const snapshot = await loadSnapshot(options.directory, options.warn);
  const marks = new MarkTables(options.ttlMs, snapshot.tables);
  let position = snapshot.position;
  for await (const entry of options.marksFrom(position)) {
    applyMarks(marks, entry.marks);
    position = entry.position;
  }
  let savedPosition = snapshot.position;
  let triedPosition = snapshot.position;
  let { files } = snapshot;
  const isDue = options.isDue ?? isWorthSnapshot;
  // Batches whose marks were handed out and whose outputs are not durable yet: a snapshot that held one would
  // lose its events after a crash.
  let uncommittedCount = 0;
  let isSaving = false;
  let drained = Promise.withResolvers<void>();

  function isSnapshotDue(): boolean {
    return isDue(position - triedPosition, marks.tables.at(-1)?.bytes().byteLength ?? 0);
  }

  /** One that cannot be written, on a full disk, is tried again later: the log is kept and tells the same. */
  async function save(): Promise<void> {
    triedPosition = position;
    try {
      files = await saveSnapshot(options.directory, { position: triedPosition, tables: marks.tables, files });
    } catch (error) {
      options.warn('dedup snapshot not written, tried again later', { error: String(error) });
      return;
    }
    savedPosition = triedPosition;
    options.keepFrom(savedPosition);
  }

  options.keepFrom(savedPosition);
  return {
    get count() {
      return marks.count;
    },
    async seen(keys) {
      return keys.map(key => {
        const expiresAtMs = marks.expiresAtMs(digests.keep(key));
        return expiresAtMs === undefined ? undefined : { expiresAtMs, source: null };
      });
    },
    async mark(added, isMore = false) {
      // Segments that commit by turns would never leave a moment for a snapshot: the due one holds new batches up.
      while (!isMore && (isSaving || (isSnapshotDue() && uncommittedCount > 0))) await drained.promise;
      if (!isMore) uncommittedCount += 1;
      const bytes = added.length === 0 ? null : encodeMarks(added, digests);
      digests.clear();
      if (bytes !== null) applyMarks(marks, bytes);
      return bytes;
    },
    async committed(durablePosition) {
      assert(uncommittedCount > 0, 'each commit answers the marks of one batch');
      position = Math.max(position, durablePosition);
      uncommittedCount -= 1;
      if (uncommittedCount > 0) return;
      isSaving = isSnapshotDue();
      try {
        if (isSaving) await save();
      } finally {
        isSaving = false;
      }
      drained.resolve();
      drained = Promise.withResolvers<void>();
    },
    async close() {
      if (position !== savedPosition && uncommittedCount === 0) await save();
    },
  };
}

/** Writing the tables costs their size; doing it once per twice that much log keeps it a small share. */
function isWorthSnapshot(logBytes: number, tableBytes: number): boolean {
  return logBytes > Math.max(SNAPSHOT_LOG_BYTES_MIN, 2 * tableBytes);
}

/** 24 bytes a mark: the digest's four words, then the time as a double; little endian. */
function encodeMarks(marks: readonly Mark[], digests: KeyDigests): Uint8Array {
  const bytes = new Uint8Array(marks.length * BYTES_PER_MARK);
  const view = new DataView(bytes.buffer);
  marks.forEach((mark, i) => {
    const digest = digests.take(mark);
    const at = i * BYTES_PER_MARK;
    for (let word = 0; word < 4; word++) view.setUint32(at + word * 4, digest[word]!, true);
    view.setFloat64(at + 16, mark.timeMs, true);
  });
  return bytes;
}

function applyMarks(tables: MarkTables, bytes: Uint8Array): void {
  assert(bytes.byteLength % BYTES_PER_MARK === 0, 'marks come in whole entries');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const digest = new Uint32Array(4);
  for (let at = 0; at < bytes.byteLength; at += BYTES_PER_MARK) {
    for (let word = 0; word < 4; word++) digest[word] = view.getUint32(at + word * 4, true);
    tables.mark(digest, view.getFloat64(at + 16, true));
  }
}

/**
 * The seeds of a directory, drawn once and never leaving it: 16 random bytes and their CRC32. Damaged ones are
 * replaced, with a warning: the marks that were made with them say nothing any more, so keys seen before pass once
 * more.
 */
async function loadSeeds({ directory, warn }: EmbeddedStateOptions): Promise<Buffer> {
  const path = join(directory, 'seeds');
  try {
    const bytes = await readFile(path);
    const seeds = bytes.subarray(0, SEEDS_BYTES);
    const isWhole = bytes.length === SEEDS_AND_CRC_BYTES && bytes.readUInt32LE(SEEDS_BYTES) === crc32(seeds);
    if (isWhole) return seeds;
    warn('dedup seeds damaged; keys seen before count as new', { path });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const seeds = randomBytes(SEEDS_BYTES);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(seeds));
  await putFile(path, Buffer.concat([seeds, crc]));
  return seeds;
}
