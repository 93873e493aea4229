import { type CacheOwner, openCacheOwner } from '../adapters/cache/sqlite-cache.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../adapters/log/embedded-log.ts';
import { takeOwnership } from '../adapters/log/owner-lock.ts';
import { openTables } from '../adapters/tables/sqlite-tables.ts';
import type { Config } from '../config/options.ts';
import { JOB_NAMES, type Job } from '../core/job.ts';
import { fullTopic, TOPICS, topicKind } from '../core/topics.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { ARCHIVE_GROUP } from '../runtime/archive/offsets.ts';
import type { Layout } from '../runtime/segments.ts';
import { TABLES_GROUP } from '../runtime/tables/tables-sink.ts';
import type { ChainCalls } from './chain-worker.ts';
import { composeLayout, describeJobs } from './compose-jobs.ts';
import { type EnvironmentPaths, prepareDataDirectory } from './data-directory.ts';
import type { SinksCalls } from './sinks-worker.ts';
import { startThread, type Thread } from './thread.ts';

/** What an environment is brought up with. */
export interface PipelineSettings {
  readonly config: Config;
  readonly environment: string;
  readonly dataDirectory: string;
  /** Told of each part as it comes up. */
  readonly print: (line: string) => void;
}

/** An environment that runs: the log is owned here, jobs and sinks have threads of their own. */
export interface Pipeline {
  readonly paths: EnvironmentPaths;
  readonly log: EmbeddedLog;
  readonly cache: CacheOwner;
  readonly jobs: readonly Job[];
  readonly layout: Layout;
  readonly chain: Thread<ChainCalls>;
  readonly sinks: Thread<SinksCalls>;
  readonly logger: Logger;
  /** Stops jobs, then sinks, then closes the log: each finds what it needs until it has ended. */
  close(): Promise<void>;
}

/** Brings up everything behind the HTTP server. What was opened is closed again where a later part fails. */
export async function openPipeline(settings: PipelineSettings): Promise<Pipeline> {
  const { config, environment, print } = settings;
  const logger = createLogger(config['observability.logLevel'], 'pipeline');
  const opened: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const undo of opened.splice(0).reverse()) await undo();
  };
  try {
    const paths = await prepareDataDirectory(settings.dataDirectory, environment);
    const owner = await takeOwnership(paths.root);
    opened.push(async () => owner.release());
    print(`data    ${paths.root}`);

    const jobs = describeJobs(config);
    const layout = composeLayout(jobs, config);
    const log = await openEmbeddedLog(logOptions(config, environment, paths, logger));
    opened.push(() => log.close());
    const cache = openCacheOwner(paths.cacheFile);
    opened.push(() => cache.close());
    print(`log     ${Object.keys(TOPICS).length} topics`);

    // Opened once here so that a reader finds the schema, whatever comes first.
    openTables(paths.tablesFile, Date.now()).close();
    const shared = { config, environment, paths, cacheVersion: cache.version };
    const [chain, sinks] = await Promise.all([
      startThread<ChainCalls>({ ...shared, role: 'chain', log: log.share() }),
      startThread<SinksCalls>({ ...shared, role: 'sinks', log: log.share() }),
    ]);
    opened.push(
      () => sinks.stop(),
      () => chain.stop(),
    );
    for (const segment of layout.segments) print(`jobs    ${segment.jobs.map(job => job.name).join(' ▸ ')}`);
    return { paths, log, cache, jobs, layout, chain, sinks, logger, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function logOptions(config: Config, environment: string, paths: EnvironmentPaths, logger: Logger) {
  // All topics are declared, stored or not: what an earlier layout left on one must be readable.
  const topics = Object.keys(TOPICS).map(name => ({
    topic: fullTopic(environment, name),
    partitions: topicKind(name) === 'internal' ? 1 : config['log.partitions'],
  }));
  return {
    directory: paths.log,
    topics,
    segmentBytes: config['log.segmentBytes'],
    retentionMs: config['log.retentionMs'],
    retentionBytes: config['log.retentionBytes'],
    behindBytesMax: config['log.behindBytesMax'],
    freeBytesMin: config['log.freeBytesMin'],
    queueBytesMax: config['log.queueBytesMax'],
    groups: groupsOf(config),
    logger,
  };
}

/** Who may hold records back from retention: any segment that ever ran, and the sinks that are switched on. */
function groupsOf(config: Config): readonly string[] {
  return [
    ...JOB_NAMES.map(name => `chain.${name}`),
    ...(config['tables.enabled'] ? [TABLES_GROUP] : []),
    ...(config['archive.enabled'] ? [ARCHIVE_GROUP] : []),
  ];
}
