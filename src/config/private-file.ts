import { chmodSync, linkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/** What SQLite keeps beside a database; it makes them with the database's own mode. */
const BESIDE = ['', '-wal', '-shm', '-journal'];

/**
 * Makes a database's file ours alone (0600) before SQLite opens it, which by itself makes one that everybody can
 * read. The folders above are 0711, so that servers which run as other users reach their own: only a file's own
 * mode keeps the others out of it. One that an earlier version made is closed to them, with what lies beside it.
 *
 * A file that is there is never opened here: closing it would drop every lock that this process has on it.
 */
export function makePrivate(file: string): void {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) create(file);
  for (const suffix of BESIDE) {
    const state = statSync(`${file}${suffix}`, { throwIfNoEntry: false });
    if (state !== undefined && (state.mode & 0o077) !== 0) chmodSync(`${file}${suffix}`, 0o600);
  }
}

/** Under a name of its own, which then becomes the file's: whoever is first to do so makes it. */
function create(file: string): void {
  const made = `${file}.${process.pid}-${threadId}.new`;
  try {
    writeFileSync(made, '', { mode: 0o600 });
    linkSync(made, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(made, { force: true });
  }
}
