import { type ErrorCode, MillraceError } from './errors.ts';

const SQLITE_FULL = 13;
/** Who runs us may not, the disk is read-only, or something else lies there: no store is away. */
const REFUSALS: readonly unknown[] = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EISDIR'];

/**
 * A failure of a disk or a store as the error that callers wait out: ERR_DISK_FULL, ERR_PATH_REFUSED or
 * ERR_STORE_UNAVAILABLE.
 */
export function storeError(cause: unknown, what: string): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const why = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new MillraceError(codeOf(cause), why, { cause });
}

/** A failed system call as {@link storeError} says it; any other error as it is. */
export function systemError(error: unknown): unknown {
  const isOfSystem = error instanceof Error && 'syscall' in error && 'code' in error;
  return isOfSystem ? storeError(error, `${error.syscall}`) : error;
}

function codeOf(cause: unknown): ErrorCode {
  if (isFull(cause)) return 'ERR_DISK_FULL';
  const isRefusal = cause instanceof Error && 'code' in cause && REFUSALS.includes(cause.code);
  return isRefusal ? 'ERR_PATH_REFUSED' : 'ERR_STORE_UNAVAILABLE';
}

function isFull(cause: unknown): boolean {
  if (typeof cause !== 'object' || cause === null) return false;
  if ('errcode' in cause && typeof cause.errcode === 'number') return (cause.errcode & 0xff) === SQLITE_FULL;
  return 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT');
}
