import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Replaces a file whole and durably: writes beside it, syncs that, takes its place, syncs the folder. A reader, or a
 * crash, never meets half of it. A crash may leave `.<name>.<pid>.tmp` behind.
 * @param setRights  gives the made file its rights; until then, and where absent, it is ours alone (0600)
 */
export async function putFile(
  path: string,
  content: string | Uint8Array,
  setRights: (made: string) => Promise<void> = async () => undefined,
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
  await syncFolder(dirname(path));
}

/** Makes creations, renames and removals in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
