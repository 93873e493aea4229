import { connectLog } from '../adapters/log/remote-log.ts';
import { openLocalObjects } from '../adapters/objects/local-objects.ts';
import { openTables } from '../adapters/tables/sqlite-tables.ts';
import { fullTopic, TOPICS, topicKind } from '../core/topics.ts';
import { createLogger } from '../observability/logger.ts';
import { createArchive } from '../runtime/archive/archive.ts';
import { startTablesSink } from '../runtime/tables/tables-sink.ts';
import type { WorkerSetup } from './worker-setup.ts';

/** What the sinks' thread answers. */
export type SinksCalls = Awaited<ReturnType<typeof startSinks>>;
