import type { Config } from '../../config/options.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Consumer, GroupOffset, Log, TableStore } from '../../core/ports.ts';
import type { LogRecord } from '../../core/record.ts';
import type { TableRow } from '../../core/relations.ts';
import { fullTopic } from '../../core/topics.ts';
import { failpoint } from '../../observability/failpoint.ts';
import type { Logger } from '../../observability/logger.ts';
import { type Pause, pauseMs, retryUnavailable } from '../back-off.ts';
import { TABLE_TOPICS, tableRowsOf } from './table-rows.ts';

/** The consumer group of the tables. */
export const TABLES_GROUP = 'tables';

// An event is queryable this much after it was processed, at the latest; without the pause a trickle of events
// would cost one sync of the tables and one of the log each.
const GATHER_MS = 100;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const POLL_WAIT_MS = 500;
const EXPIRE_EVERY_MS = 60_000;
const EXPIRE_ROWS_MAX = 5_000;
const DAY_MS = 86_400_000;

/** What the tables' sink runs on. */
export interface TablesSinkOptions {
  readonly log: Log;
  readonly tables: TableStore;
  readonly config: Pick<Config, 'tables.batchRowsMax' | 'tables.retentionDays'>;
  readonly environment: string;
  readonly logger: Logger;
  /** How it waits; by the machine's clock where absent. */
  readonly pause?: Pause;
  nowMs(): number;
}

/** The running sink. */
export interface TablesSink {
  /** Resolves when it has stopped; rejects when it cannot go on. */
  readonly done: Promise<void>;
  /** Ends it after the batch in hand. */
  stop(): Promise<void>;
  /** True when everything durable in the log at the call is in the tables. */
  isCaughtUp(): boolean;
  /** The error that it is waiting out; null while it works. */
  trouble(): MillraceError | null;
}

/**
 * Keeps the tables up to date with what leaves the chain: reads the topics as consumer group `tables`, adds the
 * rows of a batch in one transaction, then commits the offsets. Rows are named by position, so the batch that a
 * crash repeats changes nothing. A store that fails is waited for: nothing is skipped. Rows received more than
 * `tables.retentionDays` ago are deleted in small steps in between.
 */
export async function startTablesSink(options: TablesSinkOptions): Promise<TablesSink> {
  const topics = Object.keys(TABLE_TOPICS).map(name => fullTopic(options.environment, name));
  const consumer = await options.log.consume(TABLES_GROUP, topics);
  const state: SinkState = { stopping: new AbortController(), isBusy: false, trouble: null };
  const done = run(options, consumer, state);
  // Whoever stops it hears of a failure; until then it must not end the process.
  done.catch(() => {});
  return {
    done,
    async stop() {
      state.stopping.abort();
      await done;
    },
    isCaughtUp: () => !state.isBusy && consumer.isCaughtUp(),
    trouble: () => state.trouble,
  };
}

interface SinkState {
  readonly stopping: AbortController;
  /** True from before a poll hands records out until their offsets are committed. */
  isBusy: boolean;
  trouble: MillraceError | null;
}

async function run(options: TablesSinkOptions, consumer: Consumer, state: SinkState): Promise<void> {
  const recordsMax = options.config['tables.batchRowsMax'];
  const limit = { recordsMax, bytesMax: BATCH_BYTES_MAX, waitMsMax: POLL_WAIT_MS, isLent: true };
  const { signal } = state.stopping;
  const { pause = pauseMs } = options;
  let expireAtMs = options.nowMs();
  try {
    while (!signal.aborted) {
      const records = await consumer.poll(limit);
      if (records.length > 0) {
        state.isBusy = true;
        await persist(options, state, () => store(options, records));
        state.isBusy = false;
      }
      if (options.nowMs() >= expireAtMs) {
        const isMore = await persist(options, state, () => expire(options));
        if (isMore !== true) expireAtMs = options.nowMs() + EXPIRE_EVERY_MS;
      }
      if (records.length > 0 && consumer.isCaughtUp()) await pause(GATHER_MS, signal);
    }
  } finally {
    await consumer.close();
  }
}

/** Tries until it succeeds or the sink is stopped (undefined then), and says meanwhile what is wrong. */
function persist<T>(
  options: TablesSinkOptions,
  state: SinkState,
  call: () => Promise<T>,
): Promise<T | undefined> {
  return retryUnavailable(options, state.stopping.signal, async () => {
    try {
      const result = await call();
      state.trouble = null;
      return result;
    } catch (error) {
      if (error instanceof MillraceError) state.trouble = error;
      throw error;
    }
  });
}

async function store(options: TablesSinkOptions, records: readonly LogRecord[]): Promise<void> {
  const rows: TableRow[] = [];
  const ends = new Map<string, GroupOffset>();
  for (const record of records) {
    const { topic, partition, offset } = record;
    for (const row of tableRowsOf(record, options.environment)) rows.push(row);
    ends.set(`${topic}:${partition}`, { group: TABLES_GROUP, topic, partition, offset: offset + 1 });
  }
  await options.tables.insert(rows);
  await options.log.commit({ appends: [], offsets: [...ends.values()] });
  failpoint('tables.afterCommit');
}

async function expire(options: TablesSinkOptions): Promise<boolean> {
  const beforeMs = options.nowMs() - options.config['tables.retentionDays'] * DAY_MS;
  return (await options.tables.expire(beforeMs, EXPIRE_ROWS_MAX)) > 0;
}
