import type { ChainCalls } from './chain-worker.ts';
import { openServedKafka } from './compose-kafka.ts';
import { composeRedisCache, needRedis } from './compose-redis.ts';
import { openWrittenTables } from './compose-tables.ts';
import type { PartsSettings, PipelineParts } from './pipeline-parts.ts';
import type { SinksCalls } from './sinks-worker.ts';
import type { Thread } from './thread.ts';
import { startProcess } from './worker-process.ts';

/** The parts of an environment whose log is on Kafka: jobs and sinks are processes, and more may join. */
export async function openSharedParts(settings: PartsSettings): Promise<PipelineParts> {
  const { config, environment, paths, print, logger, onClose } = settings;
  await needRedis(config, (problem, remedy) => logger.warn({ problem, remedy }, 'redis'));
  await (await openWrittenTables(settings)).close();
  const cache = await composeRedisCache(config, logger);
  onClose(() => cache.close());
  const started: { sinks?: Thread<SinksCalls> } = {};
  const hasRead = async () => (await started.sinks?.calls.hasArchiveRead()) ?? false;
  const log = await openServedKafka(settings, logger, hasRead);
  onClose(() => log.close());
  print(`log     ${config['kafka.brokers'].join(', ')}`);

  const common = { config, environment, paths, log: null, jobs: null, changesLayout: false };
  const sinks = await startProcess<SinksCalls>({ ...common, role: 'sinks', instance: 0 }, logger);
  onClose(() => sinks.stop());
  started.sinks = sinks;
  const chain: Thread<ChainCalls>[] = [];
  onClose(() => Promise.all(chain.map(worker => worker.stop())));
  // The first one brings the layout up to date before any other reads; where none is to stay, it does only that.
  const count = config['kafka.workers'];
  const first = { ...common, role: 'chain', changesLayout: true, jobs: count === 0 ? [] : null } as const;
  const changer = await startProcess<ChainCalls>({ ...first, instance: 0 }, logger);
  if (count === 0) await changer.stop();
  else chain.push(changer);
  for (let instance = 1; instance < count; instance++) {
    chain.push(await startProcess<ChainCalls>({ ...common, role: 'chain', instance }, logger));
  }
  return { log, cache, chain, sinks };
}
