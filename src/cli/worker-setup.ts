import type { SharedLog } from '../adapters/log/embedded-log.ts';
import type { Config } from '../config/options.ts';
import type { EnvironmentPaths } from './data-directory.ts';

/** What a thread is started with; copied or shared, never references. */
export interface WorkerSetup {
  readonly role: 'chain' | 'sinks';
  readonly config: Config;
  readonly environment: string;
  readonly paths: EnvironmentPaths;
  readonly log: SharedLog;
  /** Version of the master data, see `openCacheOwner`. */
  readonly cacheVersion: SharedArrayBuffer;
}
