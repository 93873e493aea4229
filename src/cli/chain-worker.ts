import { createLogger } from '../observability/logger.ts';
import { changeLayout } from '../runtime/layout-change.ts';
import { type RunnerOptions, startRunner } from '../runtime/runner.ts';
import type { Segment } from '../runtime/segments.ts';
import { composeLayout, jobsWith } from './compose-jobs.ts';
import { openChainStores } from './compose-stores.ts';
import { openWorkerSchemas } from './worker-schemas.ts';
import type { WorkerSetup } from './worker-setup.ts';

/** Where marks lie in Redis: chunks that are in the jobs at once, and what one holds. A call costs what 100 keys do. */
const REDIS_CHUNKS = { chunksMax: 4, chunkBytes: 512 * 1024 };

/** What the chain's worker answers. */
export type ChainCalls = Awaited<ReturnType<typeof startChain>>;

/**
 * Starts the stream jobs in this thread or process; resolves when they read. Where one cannot, or the signal is
 * aborted before, it rejects and leaves nothing running.
 */
export async function startChain(setup: WorkerSetup, signal?: AbortSignal) {
  const { config, environment } = setup;
  const logger = createLogger(config['observability.logLevel'], 'chain');
  const schemas = await openWorkerSchemas(config, setup.paths);
  const jobs = jobsWith(config, schemas.registry);
  const layout = composeLayout(jobs, config);
  const segments = layout.segments.filter(segment => isWanted(setup, segment));
  const stores = await openChainStores(setup, logger);
  const common: Omit<RunnerOptions, 'segment'> = {
    isStored: layout.isStored,
    environment,
    log: stores.log,
    state: stores.state,
    cache: stores.cache,
    ttlMs: config['dedup.ttlMs'],
    limits: { recordsMax: config['chain.batchRecordsMax'], bytesMax: config['chain.batchBytesMax'] },
    logger,
    ...(config['state.adapter'] === 'redis' ? REDIS_CHUNKS : {}),
  };
  const drain = async (segment: Segment, isStored: RunnerOptions['isStored']) => {
    await (await startRunner({ ...common, segment, isStored, endsCaughtUp: true })).done;
  };
  if (setup.log !== null || setup.changesLayout) {
    await changeLayout({ log: stores.log, layout, jobs, environment, drain });
  }
  const starting = segments.map(segment =>
    startRunner({ ...common, ...schemas.bind(segment), ...(signal === undefined ? {} : { signal }) }),
  );
  const runners = await Promise.all(starting).catch(async error => {
    await Promise.all(starting.map(start => start.then(runner => runner.stop()).catch(() => {})));
    await stores.close();
    throw error;
  });
  for (const runner of runners) {
    // A segment that cannot go on takes the process down: what it had not committed is processed again after it.
    runner.done.catch(error => {
      throw error;
    });
  }
  return {
    markCount: () => stores.markCount(),
    ...schemas.calls,
    /** CPU time of this thread so far, microseconds. */
    cpuUsage: () => process.threadCpuUsage(),
    stop: async () => {
      await Promise.all(runners.map(runner => runner.stop()));
      await stores.close();
    },
  };
}

/** A process may be given some of the jobs: it runs the segments that hold one of them. */
function isWanted(setup: WorkerSetup, segment: Segment): boolean {
  const names = setup.log === null ? setup.jobs : null;
  return names === null || segment.jobs.some(({ name }) => names.includes(name));
}
