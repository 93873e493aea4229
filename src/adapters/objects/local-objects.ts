import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder } from '../../config/put-file.ts';
import { assert, MillraceError } from '../../core/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../core/ports.ts';
import { storeError } from '../../core/store-error.ts';
import { failpoint } from '../../observability/failpoint.ts';

// Objects are written here first: one folder on the same file system, so that what a crash left behind is
// found without walking the whole store. No object name can begin with a dot.
const INCOMING = '.incoming';
const NAME_CHARACTERS_MAX = 512;
const DURABLE_FOLDERS_MAX = 10_000;
// No dot or empty segment, no backslash, no NUL: what the pattern takes cannot leave the root.
const NAME = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}(?:\/[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}){0,15}$/;

/**
 * Opens a folder as an object store; creates it where it is missing and removes what a crash left half
 * written. An object appears under its name whole or not at all: it is written and synced under another
 * name, then linked, and `link` fails where the name is taken.
 */
export async function openLocalObjects(root: string): Promise<ObjectStore> {
  const incoming = path.join(root, INCOMING);
  return guarded(`object store ${root}`, async () => {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming, { mode: 0o700 });
    const store: FolderStore = { root: await realpath(root), incoming, durable: new Set() };
    return {
      create: (name, bytes) => guarded(`object ${name}`, () => createObject(store, name, bytes)),
      read: name => guarded(`object ${name}`, () => readObject(store, name)),
      list: prefix => walk(store, '', prefix),
    };
  });
}

/** Whether a text can name an object: segments of letters, digits and `._=-`, none beginning with a dot. */
export function isObjectName(name: string): boolean {
  return name.length <= NAME_CHARACTERS_MAX && NAME.test(name);
}

interface FolderStore {
  /** Free of symbolic links. */
  readonly root: string;
  readonly incoming: string;
  /** Folders known to be synced into all that hold them. */
  readonly durable: Set<string>;
}

async function createObject(store: FolderStore, name: string, bytes: Uint8Array): Promise<boolean> {
  assert(isObjectName(name), `object name ${JSON.stringify(name)}`);
  const target = path.join(store.root, name);
  const folder = path.dirname(target);
  await makeDurableFolder(store, folder);
  assert((await realpath(folder)) === folder, `a symbolic link leads to ${folder}`);
  const temporary = path.join(store.incoming, randomUUID());
  try {
    await writeSynced(temporary, bytes);
    failpoint('objects.afterTemp');
    const isNew = await linkNew(temporary, target);
    failpoint('objects.afterLink');
    // Also where it existed: whoever made it may have died before this.
    await syncFolder(folder);
    return isNew;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readObject(store: FolderStore, name: string): Promise<Uint8Array> {
  const missing = (): MillraceError =>
    new MillraceError('ERR_NOT_FOUND', `no object ${JSON.stringify(name)}`);
  if (!isObjectName(name)) throw missing();
  const target = path.join(store.root, name);
  try {
    if ((await realpath(target)) !== target) throw missing();
    await using file = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW);
    return await file.readFile();
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP')) throw missing();
    throw error;
  }
}

/** Objects below a folder, in the order of their names; `under` is empty or ends with a slash. */
async function* walk(store: FolderStore, under: string, prefix: string): AsyncIterable<ObjectInfo> {
  const folder = path.join(store.root, under);
  const entries = await guarded(`folder ${folder}`, () => readFolder(folder));
  // A folder sorts as its objects do: with the slash that follows its name.
  const names = entries.map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  const files = new Set(entries.filter(entry => entry.isFile()).map(entry => entry.name));
  for (const name of names) {
    const full = under + name;
    if (name.endsWith('/')) {
      const isWanted = full.startsWith(prefix) || prefix.startsWith(full);
      // Links are neither files nor folders here, so nothing outside the root is reached.
      if (isWanted && isObjectName(full.slice(0, -1))) yield* walk(store, full, prefix);
    } else if (files.has(name) && full.startsWith(prefix) && isObjectName(full)) {
      const info = await guarded(`object ${full}`, () => stat(path.join(store.root, full)));
      yield { name: full, sizeBytes: info.size };
    }
  }
}

async function readFolder(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  await using handle = await open(file, 'wx', 0o600);
  await handle.writeFile(bytes);
  await handle.sync();
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Makes the folder and syncs it, and every folder above it, into the one that holds it. Once per process and
 * folder, also where it existed: whoever made it may have died before the sync.
 */
async function makeDurableFolder(store: FolderStore, folder: string): Promise<void> {
  if (store.durable.has(folder)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (let made = folder; made.length > store.root.length; made = path.dirname(made)) {
    await syncFolder(path.dirname(made));
  }
  if (store.durable.size >= DURABLE_FOLDERS_MAX) store.durable.clear();
  store.durable.add(folder);
}

async function guarded<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof MillraceError || (error instanceof Error && !('code' in error))) throw error;
    throw storeError(error, what);
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some(code => code === error.code);
}
