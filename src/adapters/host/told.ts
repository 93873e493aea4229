import { MillraceError } from '../../core/errors.ts';

/** What the system says about a path becomes the host's error: ERR_DISK_FULL without room, else ERR_HOST_COMMAND. */
export async function told<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    const isFull = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC';
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(isFull ? 'ERR_DISK_FULL' : 'ERR_HOST_COMMAND', `${path}: ${said}`, { cause });
  }
}
