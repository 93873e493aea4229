import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import type { Log, ObjectStore, TableStore } from '../../src/core/ports.ts';
import type { Headers, LogRecord } from '../../src/core/record.ts';
import { TOPICS } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { type Archive, type ArchiveOptions, createArchive } from '../../src/runtime/archive/archive.ts';
import { startTablesSink } from '../../src/runtime/tables/tables-sink.ts';

export const ENVIRONMENT = 'local';
export const DAY_MS = 86_400_000;
/** 2024-05-01T00:00:00Z */
export const NOW_MS = 1_714_521_600_000;
export const TOPIC_SPECS = Object.keys(TOPICS).map(name => ({
  topic: `${ENVIRONMENT}.${name}`,
  partitions: 1,
}));
export const ARCHIVED_TOPICS = TOPIC_SPECS.map(({ topic }) => topic).filter(
  topic => !topic.includes('archive'),
);
export const LOGGER = createLogger('fatal', 'test');

export const ARCHIVE_CONFIG: ArchiveOptions['config'] = {
  'archive.codec': 'zstd',
  'archive.objectBytes': 1024 * 1024,
  'archive.openBytesMax': 4 * 1024 * 1024,
  'archive.openMsMax': 300_000,
  'chain.batchBytesMax': 1024 * 1024,
};
export const TABLES_CONFIG = {
  'tables.batchRowsMax': 100,
  'tables.retentionDays': 7,
  'chain.batchBytesMax': 1024 * 1024,
};

const undos = new WeakMap<TestContext, (() => unknown)[]>();

/** Calls it when the test is over, before what was said earlier: what was opened last is closed first. */
export function atEnd(t: TestContext, undo: () => unknown): void {
  const known = undos.get(t);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const list = [undo];
  undos.set(t, list);
  t.after(async () => {
    for (const call of list.reverse()) await call();
  });
}

/** A folder that goes with the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-sinks-'));
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function openScratchTables(t: TestContext) {
  const file = path.join(scratch(t), 'tables.sqlite');
  const tables = await openTables(file, NOW_MS);
  atEnd(t, () => tables.close());
  return { file, tables };
}

/** Appends one record; answers its offset. */
export async function append(
  log: Log,
  topic: string,
  record: { value: string | Uint8Array; headers?: Headers; timeMs?: number; partition?: number },
): Promise<number> {
  const value = typeof record.value === 'string' ? Buffer.from(record.value) : record.value;
  const { headers = {}, timeMs = NOW_MS, partition = 0 } = record;
  const { baseOffsets } = await log.commit({
    appends: [
      { topic: `${ENVIRONMENT}.${topic}`, partition, records: [{ key: null, timeMs, headers, value }] },
    ],
  });
  return baseOffsets[0]!;
}

/** A record as a reader of the log gets it. */
export function logRecord(
  topic: string,
  value: string | Uint8Array,
  part: Partial<LogRecord> = {},
): LogRecord {
  return {
    topic: `${ENVIRONMENT}.${topic}`,
    partition: 0,
    offset: 0,
    key: null,
    timeMs: NOW_MS,
    headers: {},
    value: typeof value === 'string' ? Buffer.from(value) : value,
    ...part,
  };
}

/** An archive on a memory log, started; stops with the test. */
export async function startArchive(t: TestContext, options: Partial<ArchiveOptions> = {}) {
  const folder = scratch(t);
  const log = options.log ?? openMemoryLog(TOPIC_SPECS);
  const objects: ObjectStore = options.objects ?? (await openLocalObjects(path.join(folder, 'archive')));
  const tables = await openTables(path.join(folder, 'tables.sqlite'), NOW_MS);
  atEnd(t, () => tables.close());
  const archive = createArchive({
    log,
    objects,
    index: tables,
    config: ARCHIVE_CONFIG,
    environment: ENVIRONMENT,
    topics: ARCHIVED_TOPICS,
    logger: LOGGER,
    nowMs: () => NOW_MS,
    ...options,
  });
  archive.start();
  atEnd(t, () => archive.stop());
  return { archive, log, objects, tables, folder };
}

/** The tables' sink on a log, started; stops with the test. */
export async function startTables(t: TestContext, log: Log, tables: TableStore, nowMs = () => NOW_MS) {
  const sink = await startTablesSink({
    log,
    tables,
    config: TABLES_CONFIG,
    environment: ENVIRONMENT,
    logger: LOGGER,
    nowMs,
  });
  atEnd(t, () => sink.stop());
  return sink;
}

/** A small file system of its own, or undefined where this process may not mount one. */
export function mountSmallDisk(t: TestContext, sizeBytes: number): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmdirSync(folder);
    return undefined;
  }
  atEnd(t, () => {
    execFileSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  return folder;
}

/** Waits until the claim holds; fails after a time, 30 s where none is given. */
export async function until(
  what: string,
  claim: () => boolean | Promise<boolean>,
  msMax = 30_000,
): Promise<void> {
  const endMs = Date.now() + msMax;
  while (!(await claim())) {
    if (Date.now() > endMs) throw new Error(`not within ${msMax} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

/** The lines of a topic in the archive, object by object. */
export async function linesOf(archive: Archive, topic: string): Promise<string[]> {
  const lines: string[] = [];
  for (const { object } of (await archive.objects()).objects) {
    if (!object.startsWith(`${topic}/`)) continue;
    lines.push(
      ...Buffer.from(await archive.read(object))
        .toString()
        .split('\n')
        .slice(0, -1),
    );
  }
  return lines;
}

/** What `verify` says of partition 0 of a topic. */
export async function verdictOf(archive: Archive, topic: string) {
  const { ok, topics } = await archive.verify();
  return { ok, ...topics.find(row => row.topic === `${ENVIRONMENT}.${topic}`)!.partitions[0]! };
}
