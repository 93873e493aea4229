import { dirname } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { StepContext } from '../../core/operation.ts';

/**
 * Fills a folder of the cache while no other run of the host does so: data directories share it. Says that it waits,
 * which may be for minutes of somebody else's build, and ends with the run.
 * Throws ERR_PATH_REFUSED where the cache cannot be written.
 * @param fill  finds it filled where the one that was waited for has done so
 */
export async function fillCached(
  { host, progress, signal }: StepContext,
  folder: string,
  fill: () => Promise<void>,
): Promise<void> {
  try {
    await host.makeFolder(dirname(folder), { mode: 0o755 });
  } catch (cause) {
    if (!(cause instanceof MillraceError) || cause.code !== 'ERR_HOST_COMMAND') throw cause;
    const why = `the cache for downloads: ${cause.why}`;
    const remedy = 'Point XDG_CACHE_HOME at a folder that can be written.';
    throw new MillraceError('ERR_PATH_REFUSED', why, { cause, remedy });
  }
  const onWait = () => progress(`waiting for another run, which fills ${folder}`);
  await host.locked(`${folder}.lock`, fill, { signal, onWait });
}
