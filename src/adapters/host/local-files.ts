import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { makePrivate } from '../../config/private-file.ts';
import { MillraceError } from '../../core/errors.ts';
import type { FileRights, FileState, Host } from '../../core/host.ts';
import type { LocalUsers } from './local-users.ts';

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
    locked: (path, work) => whileLocked(path, work),
  };
}

/** Writes beside the file, makes it durable, then takes its place. */
async function putFile(
  path: string,
  content: string | Uint8Array,
  setRights: (made: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    // Created for us alone: what it will hold may be a secret, and its rights come before its name does.
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(content);
      await setRights(temporary);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
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
async function whileLocked<T>(path: string, work: () => Promise<T>): Promise<T> {
  makePrivate(path);
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    const deadlineMs = Date.now() + LOCK_MS_MAX;
    while (!tryLock(lock)) {
      if (Date.now() > deadlineMs) {
        throw new MillraceError('ERR_HOST_COMMAND', `${path} is held by another process for too long`);
      }
      await delay(LOCK_LOOK_MS);
    }
    return await work();
  } finally {
    lock.close();
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

/** What the system says about a path becomes the host's error. */
async function told<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    const isFull = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC';
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(isFull ? 'ERR_DISK_FULL' : 'ERR_HOST_COMMAND', `${path}: ${said}`, { cause });
  }
}
