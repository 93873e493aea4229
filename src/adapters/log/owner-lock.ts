import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makePrivate } from '../../config/private-file.ts';
import { MillraceError } from '../../core/errors.ts';
import { storeError } from '../../core/store-error.ts';

/** Who owns a directory, as `owner.json` says for people and other commands; the lock itself decides. */
interface OwnerDocument {
  readonly user: string;
  readonly pid: number;
  readonly host: string;
  readonly command: string;
  readonly sinceMs: number;
}

/** A directory that is ours until it is released or this process ends. */
export interface Ownership {
  release(): void;
}

/**
 * Makes this process the one owner of a directory; throws ERR_OWNED, saying who has it, where another does. A
 * directory may have several locks by name. The lock is SQLite's on `<name>.lock`: the kernel lets go of it when
 * the process dies however it does, so that nothing is ever stale. (Node has no call for a file lock; a pid file
 * survives its process, and the pid comes to name another one.)
 */
export async function takeOwnership(directory: string, name = 'owner'): Promise<Ownership> {
  makePrivate(join(directory, `${name}.lock`));
  const lock = takeLock(directory, name);
  const document = join(directory, `${name}.json`);
  const owner: OwnerDocument = {
    user: currentUser(),
    pid: process.pid,
    host: hostname(),
    command: process.argv.slice(1).join(' '),
    sinceMs: Date.now(),
  };
  writeFileSync(`${document}.new`, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  renameSync(`${document}.new`, document);
  return {
    release() {
      if (!lock.isOpen) return;
      rmSync(document, { force: true });
      lock.close();
    },
  };
}

/**
 * Throws ERR_OWNED, saying who has it, where a process owns the directory; changes nothing there. Another one may own
 * it by the time this returns: it is for refusing early, and what is done next takes the lock itself.
 */
export function refuseOwned(directory: string, name = 'owner'): void {
  if (existsSync(join(directory, `${name}.lock`))) takeLock(directory, name).close();
}

/** Since when another owner, or this process, has had the directory, epoch milliseconds; undefined where nobody has. */
export function ownedSinceMs(directory: string, name = 'owner'): number | undefined {
  try {
    refuseOwned(directory, name);
    return undefined;
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === 'ERR_OWNED')) throw error;
    return readOwner(directory, name)?.sinceMs ?? Date.now();
  }
}

/** Longer than {@link refuseOwned} has the lock, who asks at that moment is not turned away by it. */
const LOCK_WAIT_MS = 50;

function takeLock(directory: string, name: string): DatabaseSync {
  const file = join(directory, `${name}.lock`);
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file, { timeout: LOCK_WAIT_MS });
    // Not EXCLUSIVE: of two that ask at once each may then keep the other from it, and neither has it.
    lock.exec('BEGIN IMMEDIATE');
    return lock;
  } catch (error) {
    lock?.close();
    if (!isBusy(error)) throw storeError(error, file);
    throw new MillraceError('ERR_OWNED', `${directory} is owned by ${describeOwner(directory, name)}`, {
      cause: error,
    });
  }
}

function describeOwner(directory: string, name: string): string {
  const owner = readOwner(directory, name);
  // The owner has the lock and is about to write who it is.
  if (owner === undefined) return 'a process that has just started';
  const since = new Date(owner.sinceMs).toISOString();
  return `${owner.user} on ${owner.host}, pid ${owner.pid} (${owner.command}), since ${since}`;
}

function readOwner(directory: string, name: string): OwnerDocument | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8')) as OwnerDocument;
  } catch {
    return undefined;
  }
}

/** The OS user by name; by number where the system has no name for it. */
export function currentUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5;
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
