import path from 'node:path';
import { openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import { armFailpoint } from '../../src/observability/failpoint.ts';
import { createArchive } from '../../src/runtime/archive/archive.ts';
import { startTablesSink } from '../../src/runtime/tables/tables-sink.ts';
import {
  ARCHIVE_CONFIG,
  ARCHIVED_TOPICS,
  append,
  DAY_MS,
  ENVIRONMENT,
  LOGGER,
  NOW_MS,
  TABLES_CONFIG,
  TOPIC_SPECS,
  until,
} from './setting.ts';

/**
 * A process with a log, both sinks and a failpoint: `sinks-child.ts FOLDER ROUND [FAILPOINT]`. Appends the
 * records of the round (their `i` are RECORDS apart), brings both sinks to the end, and prints what the archive
 * holds and verifies to as JSON.
 */
const RECORDS = 30;
const [folder = '', round = '0', failpoint = ''] = process.argv.slice(2);

const log = await openEmbeddedLog({
  directory: path.join(folder, 'log'),
  topics: TOPIC_SPECS,
  segmentBytes: 64 * 1024,
  retentionMs: 7 * DAY_MS,
  retentionBytes: 1024 * 1024 * 1024,
  behindBytesMax: 1024 * 1024 * 1024,
  freeBytesMin: 0,
  queueBytesMax: 1024 * 1024,
  logger: LOGGER,
});
const tables = await openTables(path.join(folder, 'tables.sqlite'), NOW_MS);
const common = { log, environment: ENVIRONMENT, logger: LOGGER, nowMs: () => NOW_MS };
for (let i = 0; i < RECORDS; i++) {
  const n = Number(round) * RECORDS + i;
  const origin = `local.telemetry.ingest:0:${n}:0 ${NOW_MS}`;
  const value = JSON.stringify({ i: n, mid: `m${n}` });
  await append(log, 'druid.events.telemetry', {
    value,
    headers: { origin: `${origin} route` },
    timeMs: NOW_MS + (n % 3) * DAY_MS,
  });
  await append(log, 'telemetry.failed', {
    value,
    headers: { origin: `${origin} validate`, code: 'ERR_SCHEMA_VIOLATION' },
  });
}

armFailpoint(failpoint);
const archive = createArchive({
  ...common,
  objects: await openLocalObjects(path.join(folder, 'archive')),
  index: tables,
  config: { ...ARCHIVE_CONFIG, 'archive.objectBytes': 400 },
  topics: ARCHIVED_TOPICS,
});
archive.start();
const sink = await startTablesSink({
  ...common,
  tables,
  config: { ...TABLES_CONFIG, 'tables.batchRowsMax': 7 },
});
await archive.flush();
await until('the tables are caught up', () => sink.isCaughtUp());

const lines: Record<string, number[]> = {};
for (const { object, topic } of (await archive.objects()).objects) {
  const text = Buffer.from(await archive.read(object)).toString();
  lines[topic] ??= [];
  lines[topic].push(
    ...text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).i),
  );
}
process.stdout.write(JSON.stringify({ verdict: await archive.verify(), lines }));
await archive.stop();
await sink.stop();
await tables.close();
await log.close();
