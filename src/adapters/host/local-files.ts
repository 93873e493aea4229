import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { makePrivate } from '../../config/private-file.ts';
import { putFile } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';
import type { FileRights, FileState, Host, LockWait } from '../../core/host.ts';
import type { LocalUsers } from './local-users.ts';
import { told } from './told.ts';

const LOCK_LOOK_MS = 100;
/** Longer than the longest build; past it somebody has to look. */
const LOCK_MS_MAX = 30 * 60_000;
const PERMISSIONS = 0o7777;

type Files = Pick<
  Host,
  'read' | 'put' | 'makeFolder' | 'remove' | 'rename' | 'stat' | 'list' | 'digest' | 'locked'
>;

/** The files of this machine, as {@link Host} has them. */
export function localFiles(users: LocalUsers): Files {
  const setRights = async (path: string, { mode, owner }: FileRights) => {
    if (owner !== undefined && owner !== users.login) {
      const { uid, gid } = users.idsOf(owner);
      await chown(path, uid, gid);
    }
    // After chown, which takes bits away.
    await chmod(path, mode);
  };
  return {
    read: path => told(path, () => absentAs(undefined, () => readFile(path))),
    put: (path, content, rights) => told(path, () => putFile(path, content, made => setRights(made, rights))),
    makeFolder: (path, rights) =>
      told(path, async () => {
        await mkdir(path, { recursive: true, mode: 0o711 });
        await setRights(path, rights);
      }),
    remove: path => told(path, () => rm(path, { recursive: true, force: true })),
    rename: (from, to) => told(to, () => rename(from, to)),
    stat: path => told(path, () => absentAs(undefined, () => stateOf(path, users))),
    list: path => told(path, async () => (await absentAs([], () => readdir(path))).sort()),
    digest: path => told(path, () => digestOf(path)),
    locked: whileLocked,
  };
}

async function stateOf(path: string, users: LocalUsers): Promise<FileState> {
  // A link to nothing is there, but as nothing of use.
  const found = await stat(path).catch(() => lstat(path));
  const kind = found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
  return {
    kind,
    mode: found.mode & PERMISSIONS,
    owner: users.nameOf(found.uid),
    sizeBytes: found.size,
    modifiedAtMs: Math.floor(found.mtimeMs),
  };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** SQLite's lock, as for the owner of a data directory: the kernel lets go of it however the holder ends. */
async function whileLocked<T>(path: string, work: () => Promise<T>, wait: LockWait = {}): Promise<T> {
  const lock = await told(path, () => {
    makePrivate(path);
    return new DatabaseSync(path, { timeout: 0 });
  });
  try {
    await told(path, () => takeTurn(lock, path, wait));
    return await work();
  } finally {
    lock.close();
  }
}

async function takeTurn(lock: DatabaseSync, path: string, { signal, onWait }: LockWait): Promise<void> {
  const deadlineMs = Date.now() + LOCK_MS_MAX;
  for (let isFirst = true; !tryLock(lock); isFirst = false) {
    if (signal?.aborted === true) {
      throw new MillraceError('ERR_RUN_CANCELLED', `it ended while another process held ${path}`);
    }
    if (Date.now() > deadlineMs) {
      throw new MillraceError('ERR_HOST_COMMAND', `${path} is held by another process for too long`);
    }
    if (isFirst) onWait?.();
    await delay(LOCK_LOOK_MS);
  }
}

function tryLock(lock: DatabaseSync): boolean {
  const SQLITE_BUSY = 5;
  try {
    // Not EXCLUSIVE: of two that ask at once each may then keep the other from it, and neither has it.
    lock.exec('BEGIN IMMEDIATE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}

async function absentAs<T, A>(absent: A, read: () => Promise<T>): Promise<T | A> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return absent;
    throw error;
  }
}
