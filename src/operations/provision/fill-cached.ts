import type { StepContext } from '../../core/operation.ts';

/**
 * Fills a folder of the cache while no other run of the host does so: data directories share it. Says that it waits,
 * which may be for minutes of somebody else's build, and ends with the run.
 * @param fill  finds it filled where the one that was waited for has done so
 */
export async function fillCached(
  { host, progress, signal }: StepContext,
  folder: string,
  fill: () => Promise<void>,
): Promise<void> {
  const onWait = () => progress(`waiting for another run, which fills ${folder}`);
  await host.locked(`${folder}.lock`, fill, { signal, onWait });
}
