import { chmodSync, closeSync, openSync, statSync } from 'node:fs';

/** What SQLite keeps beside a database; it makes them with the database's own mode. */
const BESIDE = ['', '-wal', '-shm', '-journal'];

/**
 * Makes a database's file ours alone (0600) before SQLite opens it, which by itself makes one that everybody can
 * read. The folders above are 0711, so that servers which run as other users reach their own: only a file's own
 * mode keeps the others out of it. One that an earlier version made is closed to them, with what lies beside it.
 */
export function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  for (const suffix of BESIDE) {
    const state = statSync(`${file}${suffix}`, { throwIfNoEntry: false });
    if (state !== undefined && (state.mode & 0o077) !== 0) chmodSync(`${file}${suffix}`, 0o600);
  }
}
