import { MillraceError } from '../core/errors.ts';
import { fullTopic } from '../core/topics.ts';
import { createLogger } from '../observability/logger.ts';
import { type Archive, createArchive } from '../runtime/archive/archive.ts';
import { archivedTopics } from '../runtime/segments.ts';
import { startTablesSink } from '../runtime/tables/tables-sink.ts';
import { composeLayout, describeJobs } from './compose-jobs.ts';
import { openSinkStores } from './compose-stores.ts';
import type { WorkerSetup } from './worker-setup.ts';

/** What the sinks' worker answers. */
export type SinksCalls = Awaited<ReturnType<typeof startSinks>>;

/** Starts the archive and the tables in this thread or process, as far as they are on; resolves when they read. */
export async function startSinks(setup: WorkerSetup) {
  const { config, environment } = setup;
  const logger = createLogger(config['observability.logLevel'], 'sinks');
  const layout = composeLayout(describeJobs(config), config);
  const { log, tables, objects, close } = await openSinkStores(setup, logger);
  const common = { log, config, environment, logger, nowMs: Date.now };
  const sink = config['tables.enabled'] ? await startTablesSink({ ...common, tables }) : null;
  const archive = createArchive({
    ...common,
    objects,
    index: tables,
    topics: archivedTopics(layout).map(name => fullTopic(environment, name)),
  });
  if (config['archive.enabled']) await archive.start();
  for (const done of [sink?.done, config['archive.enabled'] ? archive.done : undefined]) {
    // A sink that cannot go on takes the process down: what it had not committed is read again after it.
    done?.catch(error => {
      throw error;
    });
  }
  return {
    /** CPU time of this thread so far, microseconds. */
    cpuUsage: () => process.threadCpuUsage(),
    trouble: () => ({ tables: textOf(sink?.trouble() ?? null), archive: textOf(archive.trouble()) }),
    hasArchiveRead: () => !config['archive.enabled'] || archive.isCaughtUp(),
    archiveStatus: () => archive.status(),
    archiveFlush: () => flush(archive, config['archive.enabled']),
    archiveVerify: () => archive.verify(),
    archiveObjects: () => archive.objects(),
    archiveRead: (name: string) => archive.read(name),
    stop: async () => {
      await Promise.all([sink?.stop(), config['archive.enabled'] ? archive.stop() : undefined]);
      await close();
    },
  };
}

async function flush(archive: Archive, isEnabled: boolean) {
  if (isEnabled) return archive.flush();
  throw new MillraceError('ERR_NOT_READY', 'archive.enabled is off', {
    remedy: 'Start with --set archive.enabled=on.',
  });
}

function textOf(error: MillraceError | null): string | null {
  return error === null ? null : `${error.message}: ${error.why}`;
}
