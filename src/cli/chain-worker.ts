import { openCacheReader } from '../adapters/cache/sqlite-cache.ts';
import { connectLog } from '../adapters/log/remote-log.ts';
import { openEmbeddedState } from '../adapters/state/embedded-state.ts';
import { createLogger } from '../observability/logger.ts';
import { changeLayout } from '../runtime/layout-change.ts';
import { type RunnerOptions, startRunner } from '../runtime/runner.ts';
import type { Segment } from '../runtime/segments.ts';
import { composeJobs, composeLayout } from './compose-jobs.ts';
import type { WorkerSetup } from './worker-setup.ts';

/** What the chain's thread answers. */
export type ChainCalls = Awaited<ReturnType<typeof startChain>>;

/** Starts the stream jobs in this thread; resolves when they read. */
export async function startChain({ config, environment, paths, log: shared, cacheVersion }: WorkerSetup) {
  const logger = createLogger(config['observability.logLevel'], 'chain');
  const jobs = await composeJobs(config);
  const layout = composeLayout(jobs, config);
  const log = connectLog(shared);
  const cache = openCacheReader(paths.cacheFile, cacheVersion, {
    rowsMax: config['cache.rowsMax'],
    bytesMax: config['cache.bytesMax'],
  });
  const state = await openEmbeddedState({
    directory: paths.state,
    ttlMs: config['dedup.ttlMs'],
    marksFrom: position => log.marksFrom(position),
    keepFrom: position => log.keepFrom('dedup', position),
    warn: (message, fields) => logger.warn(fields, message),
  });
  const common: Omit<RunnerOptions, 'segment'> = {
    isStored: layout.isStored,
    environment,
    log,
    state,
    cache,
    limits: { recordsMax: config['chain.batchRecordsMax'], bytesMax: config['chain.batchBytesMax'] },
    logger,
  };
  const drain = async (segment: Segment, isStored: RunnerOptions['isStored']) => {
    await (await startRunner({ ...common, segment, isStored, endsCaughtUp: true })).done;
  };
  await changeLayout({ log, layout, jobs, environment, drain });
  const runners = await Promise.all(layout.segments.map(segment => startRunner({ ...common, segment })));
  for (const runner of runners) {
    // A segment that cannot go on takes the process down: what it had not committed is processed again after it.
    runner.done.catch(error => {
      throw error;
    });
  }
  return {
    markCount: () => state.count,
    stop: async () => {
      await Promise.all(runners.map(runner => runner.stop()));
      await state.close();
      await cache.close();
      await log.close();
    },
  };
}
