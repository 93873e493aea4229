import { type ErrorCode, MillraceError } from './errors.ts';

const SQLITE_FULL = 13;
/** SQLite's words for such refusals: PERM, READONLY, CANTOPEN. */
const SQLITE_REFUSALS: readonly unknown[] = [3, 8, 14];
/** Who runs us may not, the disk is read-only, or something else or nothing lies there: no store is away. */
const REFUSALS: readonly unknown[] = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ENOENT'];

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

/** Whether the way to a server failed at TLS, and not before it; by the code that Node gives such errors. */
export function isTlsFailure(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && TLS_CODES.test(String(cause.code));
}

const TLS_CODES = /^(?:ERR_TLS|ERR_SSL|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_)/;

function codeOf(cause: unknown): ErrorCode {
  const code = systemCodeOf(cause);
  const sqliteCode = sqliteCodeOf(cause);
  if (sqliteCode === SQLITE_FULL || code === 'ENOSPC' || code === 'EDQUOT') return 'ERR_DISK_FULL';
  const isRefusal = SQLITE_REFUSALS.includes(sqliteCode) || REFUSALS.includes(code);
  return isRefusal ? 'ERR_PATH_REFUSED' : 'ERR_STORE_UNAVAILABLE';
}

/** SQLite's primary result code, undefined where it is no error of SQLite. */
function sqliteCodeOf(cause: unknown): number | undefined {
  const isOurs = typeof cause === 'object' && cause !== null && 'errcode' in cause;
  return isOurs && typeof cause.errcode === 'number' ? cause.errcode & 0xff : undefined;
}

/** `ENOSPC` and the like; SQLite has one as well, for any error of its own. */
function systemCodeOf(cause: unknown): unknown {
  return typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
}
