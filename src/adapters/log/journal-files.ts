import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';

/** One journal file. `base` is the address of its first byte; addresses count bytes over all segments. */
export interface SegmentFile {
  readonly base: number;
  readonly path: string;
}

/** The file whose first byte has this address: 20 digits, so that names sort as addresses do. */
export function segmentPath(journal: string, base: number): string {
  return join(journal, `${String(base).padStart(20, '0')}.seg`);
}

/** The journal's segments, oldest first. Files of other names are left alone. */
export async function listSegments(journal: string): Promise<readonly SegmentFile[]> {
  const names = (await readFrom(journal, readdir(journal))).filter(name => /^\d{20}\.seg$/.test(name)).sort();
  return names.map(name => ({ base: Number(name.slice(0, 20)), path: join(journal, name) }));
}

/** Size of a file in bytes; undefined where there is none. */
export async function fileBytes(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Removes a file durably; it may be gone already. */
export async function removeFile(directory: string, path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(directory);
}

/** The answer of a reading call on a path; an error other than a missing file becomes ERR_STORE_UNAVAILABLE. */
export async function readFrom<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isMissing(error)) throw error;
    throw new MillraceError('ERR_STORE_UNAVAILABLE', `${path}: ${codeOf(error) ?? String(error)}`, {
      cause: error,
    });
  }
}

/** True where a file system call failed because the file is not there. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

/** The error that a failed write is reported as: ERR_DISK_FULL where room was lacking, else ERR_LOG_WRITE. */
export function writeError(error: unknown, what: string): MillraceError {
  const code = codeOf(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const why = `${what}: ${code ?? String(error)}`;
  return new MillraceError(full ? 'ERR_DISK_FULL' : 'ERR_LOG_WRITE', why, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
