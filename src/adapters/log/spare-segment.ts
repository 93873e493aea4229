import { type FileHandle, open, rename, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { syncFolder } from '../../config/put-file.ts';
import type { Logger } from '../../observability/logger.ts';
import { addressOf, FIXED_BYTES } from './frame.ts';
import { fileBytes, removeFile, segmentPath } from './journal-files.ts';

/** Zeros are written and synced by so many bytes: a commit that syncs at the same time waits for one such piece. */
const STEP_BYTES = 256 * 1024;
const ZEROS = new Uint8Array(STEP_BYTES);

/** What spares are made with. */
export interface SpareOptions {
  /** The log's. */
  readonly directory: string;
  readonly journal: string;
  /** How long one is. */
  readonly bytes: number;
  /** What a spare must leave free on the disk. */
  readonly freeBytesMin: number;
}

/** Where the log of a directory keeps its spare segment: beside the journal, so that no reader comes upon it. */
function sparePath(directory: string): string {
  return join(directory, 'spare');
}

/**
 * A segment that is made ready while another one is written: as long as a segment becomes, full of zeros, synced.
 * A sync of what is written into it later has no length and no place of the file to write down with it, which file
 * systems do in a journal of their own, behind what everybody else has written: docs/decisions/0018-spare-segments.md.
 */
export class SpareSegment {
  readonly #options: SpareOptions;
  #file: FileHandle | null = null;
  #preparing: Promise<void> | null = null;
  /** True from when one was given until its new name is durable. */
  #isTaken = false;
  #isClosed = false;

  constructor(options: SpareOptions) {
    this.#options = options;
  }

  /** Whether {@link take} would give one. */
  get isReady(): boolean {
    return this.#file !== null;
  }

  /** Makes one ready where there is none, beside whatever else runs. One that cannot be made is done without. */
  prepare(): void {
    if (this.#isClosed || this.#file !== null) return;
    this.#preparing ??= this.#prepare().then(file => {
      this.#file = file;
      this.#preparing = null;
    });
  }

  /**
   * Gives the file, which is now the segment with this base; null where none is ready. That its name has changed is not
   * durable yet and need not be: {@link adoptSpare} gives a spare that holds frames the name that they tell.
   */
  async take(base: number): Promise<FileHandle | null> {
    const file = this.#file;
    if (file === null) return null;
    this.#file = null;
    try {
      await rename(sparePath(this.#options.directory), segmentPath(this.#options.journal, base));
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#isTaken = true;
    return file;
  }

  /**
   * Makes the last name that {@link take} gave durable. Before that no other file may become a spare or a segment: of a
   * spare with frames and a segment of the same base, recovery takes the spare.
   */
  async settle(): Promise<void> {
    if (!this.#isTaken) return;
    await syncFolder(this.#options.journal);
    await syncFolder(this.#options.directory);
    this.#isTaken = false;
  }

  /** Waits for what it does, and removes a spare that was not taken. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#preparing;
    await this.#file?.close();
    this.#file = null;
    await removeFile(this.#options.directory, sparePath(this.#options.directory));
  }

  async #prepare(): Promise<FileHandle | null> {
    try {
      await this.settle();
      await removeFile(this.#options.directory, sparePath(this.#options.directory));
      return (await this.#hasRoom()) ? await this.#fill() : null;
    } catch {
      // A full disk most likely: segments grow by what is written to them then, which only takes longer to sync.
      return null;
    }
  }

  async #hasRoom(): Promise<boolean> {
    const { directory, bytes, freeBytesMin } = this.#options;
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize >= bytes + freeBytesMin;
  }

  async #fill(): Promise<FileHandle> {
    const { directory, bytes } = this.#options;
    const path = sparePath(directory);
    const file = await open(path, 'wx+', 0o600);
    try {
      for (let at = 0; at < bytes && !this.#isClosed; at += STEP_BYTES) {
        await file.write(ZEROS, 0, Math.min(STEP_BYTES, bytes - at), at);
        await file.datasync();
      }
      await syncFolder(directory);
      return file;
    } catch (error) {
      await file.close();
      await removeFile(directory, path);
      throw error;
    }
  }
}

/**
 * Gives a spare that holds a frame the name of the segment that it is: it was taken, and a power cut came before its
 * new name was durable. One without is removed. Called before anything is read.
 */
export async function adoptSpare(
  { directory, journal }: { readonly directory: string; readonly journal: string },
  logger: Logger,
): Promise<void> {
  const path = sparePath(directory);
  if ((await fileBytes(path)) === undefined) return;
  const base = await firstAddress(path);
  if (base !== undefined) {
    const target = segmentPath(journal, base);
    logger.warn({ file: basename(target) }, 'log segment had lost its name, named by its first frame');
    // A file that has the name already failed before its first frame.
    await rename(path, target);
    await syncFolder(journal);
  }
  // Where the system kept both names of one file, the rename left them.
  await removeFile(directory, path);
}

async function firstAddress(path: string): Promise<number | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(FIXED_BYTES), 0, FIXED_BYTES, 0);
    return addressOf(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}
