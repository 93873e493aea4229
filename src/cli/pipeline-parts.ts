import type { Config } from '../config/options.ts';
import type { Cache, ServedLog } from '../core/ports.ts';
import type { Logger } from '../observability/logger.ts';
import type { Layout } from '../runtime/segments.ts';
import type { ChainCalls } from './chain-worker.ts';
import type { EnvironmentPaths } from './data-directory.ts';
import type { SinksCalls } from './sinks-worker.ts';
import type { Thread } from './thread.ts';

/** What an environment is brought up with. */
export interface PipelineSettings {
  readonly config: Config;
  readonly environment: string;
  readonly dataDirectory: string;
  /** Told of each part as it comes up. */
  readonly print: (line: string) => void;
  /** Aborted where it is to stop before it has come up: the long steps of servers end at their next safe place. */
  readonly signal: AbortSignal;
}

/** The parts that an environment's stores decide. */
export interface PipelineParts {
  readonly log: ServedLog;
  readonly cache: Cache;
  /** At least one, but for an environment whose chain runs elsewhere alone. */
  readonly chain: readonly Thread<ChainCalls>[];
  readonly sinks: Thread<SinksCalls>;
}

/** What the parts are opened with. */
export interface PartsSettings extends PipelineSettings {
  readonly paths: EnvironmentPaths;
  readonly layout: Layout;
  readonly logger: Logger;
  /** Takes what closes a part that has come up; called in reverse order. */
  onClose(close: () => Promise<unknown>): void;
}
