import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Replaces a file whole: writes beside it, makes that durable, then takes its place. A reader, or a crash, never meets
 * half of it.
 * @param setRights  gives the made file its rights; until then it is ours alone
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
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
