import { openCacheReader } from '../adapters/cache/sqlite-cache.ts';
import { connectLog } from '../adapters/log/remote-log.ts';
import { openLocalObjects } from '../adapters/objects/local-objects.ts';
import { openEmbeddedState } from '../adapters/state/embedded-state.ts';
import type { OpenTables } from '../adapters/tables/table-store.ts';
import type { Cache, Log, ObjectStore, StateStore } from '../core/ports.ts';
import type { Logger } from '../observability/logger.ts';
import { openWrittenTables } from './compose-tables.ts';
import type { ProcessSetup, WorkerSetup } from './worker-setup.ts';

/** What the stream jobs run on. */
export interface ChainStores {
  readonly log: Log;
  readonly state: StateStore;
  readonly cache: Pick<Cache, 'get'>;
  /** Keys that are remembered. */
  markCount(): number | Promise<number>;
  close(): Promise<void>;
}

/** What the archive and the tables are written to. */
export interface SinkStores {
  readonly log: Log;
  readonly tables: OpenTables;
  readonly objects: ObjectStore;
  close(): Promise<void>;
}

/** Opens what a chain's worker needs. What was opened is closed again where a later part fails. */
export async function openChainStores(setup: WorkerSetup, logger: Logger): Promise<ChainStores> {
  const opened: Closable[] = [];
  const open = <T extends Closable>(part: T): T => {
    opened.push(part);
    return part;
  };
  const close = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  try {
    const marked = await openMarkedLog(setup, logger, open);
    const cache = open(await openJobCache(setup, logger));
    return { ...marked, cache, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Closable {
  close(): Promise<void>;
}

/** The log with its marks: the embedded store of marks lives from the embedded log's commits. */
async function openMarkedLog(
  setup: WorkerSetup,
  logger: Logger,
  open: <T extends Closable>(part: T) => T,
): Promise<Pick<ChainStores, 'log' | 'state' | 'markCount'>> {
  const { config, paths } = setup;
  if (setup.log === null || config['state.adapter'] === 'redis') {
    const log = open(setup.log === null ? await openProcessLog(setup, logger) : connectLog(setup.log));
    const { composeRedisState } = await import('./compose-redis.ts');
    const state = open(await composeRedisState(config));
    return { log, state, markCount: () => state.count() };
  }
  const log = open(connectLog(setup.log));
  const state = open(
    await openEmbeddedState({
      directory: paths.state,
      ttlMs: config['dedup.ttlMs'],
      marksFrom: position => log.marksFrom(position),
      keepFrom: position => log.keepFrom('dedup', position),
      warn: (message, fields) => logger.warn(fields, message),
    }),
  );
  return { log, state, markCount: () => state.count };
}

/** Loaded only where it is used, as every client of a server. */
async function openProcessLog(setup: ProcessSetup, logger: Logger): Promise<Log> {
  const { openWorkerKafka } = await import('./compose-kafka.ts');
  return openWorkerKafka(setup, logger);
}

async function openJobCache(setup: WorkerSetup, logger: Logger): Promise<Pick<Cache, 'get' | 'close'>> {
  const { config, paths } = setup;
  const version = setup.log === null ? null : setup.cacheVersion;
  if (version === null) {
    const { composeRedisCache } = await import('./compose-redis.ts');
    return composeRedisCache(config, logger);
  }
  return openCacheReader(paths.cacheFile, version, {
    rowsMax: config['cache.rowsMax'],
    bytesMax: config['cache.bytesMax'],
  });
}

/** Opens what the sinks' worker needs. */
export async function openSinkStores(setup: WorkerSetup, logger: Logger): Promise<SinkStores> {
  const log = setup.log === null ? await openProcessLog(setup, logger) : connectLog(setup.log);
  try {
    const tables = await openWrittenTables(setup);
    return {
      log,
      tables,
      objects: await openLocalObjects(setup.paths.archive),
      async close() {
        await tables.close();
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}
