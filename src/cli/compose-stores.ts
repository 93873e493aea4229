import { type CacheReader, openCacheReader } from '../adapters/cache/sqlite-cache.ts';
import { connectLog } from '../adapters/log/remote-log.ts';
import { openLocalObjects } from '../adapters/objects/local-objects.ts';
import { openEmbeddedState } from '../adapters/state/embedded-state.ts';
import { openTables } from '../adapters/tables/sqlite-tables.ts';
import type { OpenTables } from '../adapters/tables/table-store.ts';
import type { Log, ObjectStore, StateStore } from '../core/ports.ts';
import type { Logger } from '../observability/logger.ts';
import type { WorkerSetup } from './worker-setup.ts';

/** What the stream jobs run on. */
export interface ChainStores {
  readonly log: Log;
  readonly state: StateStore;
  readonly cache: CacheReader;
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

/** Opens what a chain's worker needs. */
export async function openChainStores(setup: WorkerSetup, logger: Logger): Promise<ChainStores> {
  const { config, paths, cacheVersion } = setup;
  const log = connectLog(setup.log);
  const state = await openEmbeddedState({
    directory: paths.state,
    ttlMs: config['dedup.ttlMs'],
    marksFrom: position => log.marksFrom(position),
    keepFrom: position => log.keepFrom('dedup', position),
    warn: (message, fields) => logger.warn(fields, message),
  });
  const cache = openCacheReader(paths.cacheFile, cacheVersion, {
    rowsMax: config['cache.rowsMax'],
    bytesMax: config['cache.bytesMax'],
  });
  return {
    log,
    state,
    cache,
    markCount: () => state.count,
    async close() {
      await state.close();
      await cache.close();
      await log.close();
    },
  };
}

/** Opens what the sinks' worker needs. */
export async function openSinkStores({ log: shared, paths }: WorkerSetup): Promise<SinkStores> {
  const log = connectLog(shared);
  const tables = await openTables(paths.tablesFile, Date.now());
  return {
    log,
    tables,
    objects: await openLocalObjects(paths.archive),
    async close() {
      await tables.close();
      await log.close();
    },
  };
}
