import type { SharedLog } from '../adapters/log/embedded-log.ts';
import type { Config } from '../config/options.ts';
import type { EnvironmentPaths } from './data-directory.ts';

/** What runs beside the HTTP server: the stream jobs, or the archive and the tables. */
export type WorkerRole = 'chain' | 'sinks';

/** What every worker is told. */
export interface WorkerCommon {
  readonly role: WorkerRole;
  readonly config: Config;
  readonly environment: string;
  readonly paths: EnvironmentPaths;
}

/** What a thread is started with, beside the owner of the log; copied or shared, never references. */
export interface ThreadSetup extends WorkerCommon {
  readonly log: SharedLog;
  /** Version of the master data, see `openCacheOwner`; null where they lie elsewhere. */
  readonly cacheVersion: SharedArrayBuffer | null;
}

/** What a process of its own is started with: it reaches every store by itself. */
export interface ProcessSetup extends WorkerCommon {
  readonly log: null;
  /** Number among the processes of the role: two of one number are one identity, and the later fences the other. */
  readonly instance: number;
  /** Jobs whose segments it runs; null for all. */
  readonly jobs: readonly string[] | null;
  /** Whether it makes the configured layout the current one first: one process of an environment does. */
  readonly changesLayout: boolean;
}

/** Either of them. */
export type WorkerSetup = ThreadSetup | ProcessSetup;
