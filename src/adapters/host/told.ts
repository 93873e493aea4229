import { MillraceError } from '../../core/errors.ts';
import { storeError } from '../../core/store-error.ts';

/** What the system says about a path becomes the host's error: ERR_DISK_FULL without room, else ERR_HOST_COMMAND. */
export async function told<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    const error = storeError(cause, path);
    throw error.code === 'ERR_DISK_FULL'
      ? error
      : new MillraceError('ERR_HOST_COMMAND', error.why, { cause });
  }
}
