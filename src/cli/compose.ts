import { takeOwnership } from '../adapters/log/owner-lock.ts';
import type { Config } from '../config/options.ts';
import type { Job } from '../core/job.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import type { Layout } from '../runtime/segments.ts';
import { openEmbeddedParts } from './compose-embedded.ts';
import { composeLayout, describeJobs } from './compose-jobs.ts';
import { locateServers } from './compose-servers.ts';
import { type EnvironmentPaths, prepareDataDirectory } from './data-directory.ts';
import type { PartsSettings, PipelineParts, PipelineSettings } from './pipeline-parts.ts';

/** An environment that runs: jobs and sinks have threads, or processes, of their own. */
export interface Pipeline extends PipelineParts {
  /** The configuration with what the servers that were brought up gave to it. */
  readonly config: Config;
  readonly paths: EnvironmentPaths;
  readonly jobs: readonly Job[];
  readonly layout: Layout;
  readonly logger: Logger;
  /** Stops jobs, then sinks, then closes the log: each finds what it needs until it has ended. */
  close(): Promise<void>;
}

/** Brings up everything behind the HTTP server. What was opened is closed again where a later part fails. */
export async function openPipeline(settings: PipelineSettings): Promise<Pipeline> {
  const { environment, print } = settings;
  const logger = createLogger(settings.config['observability.logLevel'], 'pipeline');
  const opened: (() => Promise<unknown>)[] = [];
  const onClose = (close: () => Promise<unknown>): void => void opened.push(close);
  const close = async () => {
    for (const undo of opened.splice(0).reverse()) await undo();
  };
  try {
    const paths = await prepareDataDirectory(settings.dataDirectory, environment);
    const owner = await takeOwnership(paths.root);
    onClose(async () => owner.release());
    print(`data    ${paths.root}`);
    const config = await locateServers(settings);
    const jobs = describeJobs(config);
    const layout = composeLayout(jobs, config);
    const { openParts } = await partsOf(config);
    const parts = await openParts({ ...settings, config, paths, layout, logger, onClose });
    for (const segment of layout.segments) print(`jobs    ${segment.jobs.map(job => job.name).join(' ▸ ')}`);
    return { ...parts, config, paths, jobs, layout, logger, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Loaded by need: clients of servers take time and memory. */
async function partsOf(
  config: Config,
): Promise<{ openParts(settings: PartsSettings): Promise<PipelineParts> }> {
  if (config['log.adapter'] === 'embedded') return { openParts: openEmbeddedParts };
  return { openParts: (await import('./compose-shared.ts')).openSharedParts };
}
