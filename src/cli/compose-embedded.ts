import { openCacheOwner } from '../adapters/cache/sqlite-cache.ts';
import { openEmbeddedLog } from '../adapters/log/embedded-log.ts';
import type { Config } from '../config/options.ts';
import { JOB_NAMES } from '../core/job.ts';
import type { Cache } from '../core/ports.ts';
import { TOPICS } from '../core/topics.ts';
import type { Logger } from '../observability/logger.ts';
import { ARCHIVE_GROUP } from '../runtime/archive/offsets.ts';
import { TABLES_GROUP } from '../runtime/tables/tables-sink.ts';
import type { ChainCalls } from './chain-worker.ts';
import { openWrittenTables } from './compose-tables.ts';
import { declaredTopics } from './declared-topics.ts';
import { logLimitsOf } from './log-limits.ts';
import type { PartsSettings, PipelineParts } from './pipeline-parts.ts';
import type { SinksCalls } from './sinks-worker.ts';
import { startThread } from './thread.ts';

/** The parts of an environment whose log is this process's own: jobs and sinks are threads of it. */
export async function openEmbeddedParts(settings: PartsSettings): Promise<PipelineParts> {
  const { config, environment, paths, print, logger, onClose } = settings;
  const log = await openEmbeddedLog({
    directory: paths.log,
    topics: declaredTopics(config, environment),
    ...logLimitsOf(config),
    groups: groupsOf(config),
    logger,
  });
  onClose(() => log.close());
  const owned = config['cache.adapter'] === 'sqlite' ? openCacheOwner(paths.cacheFile) : null;
  const cache = owned ?? (await openSharedCache(config, logger));
  onClose(() => cache.close());
  print(`log     ${Object.keys(TOPICS).length} topics`);
  // Opened once here so that a reader finds the schema, whatever comes first.
  await (await openWrittenTables(settings)).close();
  const shared = { config, environment, paths, cacheVersion: owned?.version ?? null };
  const [chain, sinks] = await Promise.all([
    startThread<ChainCalls>({ ...shared, role: 'chain', log: log.share() }),
    startThread<SinksCalls>({ ...shared, role: 'sinks', log: log.share() }),
  ]);
  onClose(() => sinks.stop());
  onClose(() => chain.stop());
  return { log, cache, chain: [chain], sinks };
}

/** Who may hold records back from retention: any segment that ever ran, and the sinks that are switched on. */
function groupsOf(config: Config): readonly string[] {
  return [
    ...JOB_NAMES.map(name => `chain.${name}`),
    ...(config['tables.enabled'] ? [TABLES_GROUP] : []),
    ...(config['archive.enabled'] ? [ARCHIVE_GROUP] : []),
  ];
}

/** Loaded by need, as every client of a server. */
async function openSharedCache(config: Config, logger: Logger): Promise<Cache> {
  const { composeRedisCache } = await import('./compose-redis.ts');
  return composeRedisCache(config, logger);
}
