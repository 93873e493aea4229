import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { Log, ServedLog } from '../core/ports.ts';
import { fullTopic } from '../core/topics.ts';
import type { Logger } from '../observability/logger.ts';
import type { ChainCalls } from './chain-worker.ts';
import { openSharedCache } from './compose-redis.ts';
import { openWrittenTables } from './compose-tables.ts';
import type { PartsSettings, PipelineParts } from './pipeline-parts.ts';
import type { SinksCalls } from './sinks-worker.ts';
import type { Thread } from './thread.ts';
import { startProcess } from './worker-process.ts';
import type { ProcessSetup } from './worker-setup.ts';

/** The parts of an environment whose log is on Kafka: jobs and sinks are processes, and more may join. */
export async function openKafkaParts(settings: PartsSettings): Promise<PipelineParts> {
  const { config, environment, paths, print, logger, onClose } = settings;
  await openWrittenTables(settings).then(tables => tables.close());
  const cache = await openSharedCache(config, logger);
  onClose(() => cache.close());
  const workers: { sinks?: Thread<SinksCalls> } = {};
  const log = await openServedKafka(
    settings,
    () => workers.sinks?.calls.haveRead() ?? Promise.resolve(false),
  );
  onClose(() => log.close());
  print(`log     ${config['kafka.brokers'].join(', ')}`);
  const common = { config, environment, paths, log: null, jobs: null };
  const processOf = (setup: ProcessSetup) => startProcess<ChainCalls>(setup, logger);
  const chain: Thread<ChainCalls>[] = [];
  onClose(() => Promise.all(chain.map(worker => worker.stop())));
  // The first one brings the layout up to date before any other reads.
  for (let instance = 0; instance < config['kafka.workers']; instance++) {
    chain.push(await processOf({ ...common, role: 'chain', instance, changesLayout: instance === 0 }));
  }
  workers.sinks = await startProcess<SinksCalls>(
    { ...common, role: 'sinks', instance: 0, changesLayout: false },
    logger,
  );
  onClose(() => workers.sinks!.stop());
  return { log, cache, chain, sinks: workers.sinks };
}
