import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
} from '../../src/adapters/log/embedded-log.ts';
import type { Log, LogState } from '../../src/core/ports.ts';
import type { LogRecord, NewRecord } from '../../src/core/record.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** Topics that the tests write to. */
export const TEST_TOPICS = [
  { topic: 'alpha', partitions: 2 },
  { topic: 'beta', partitions: 1 },
] as const;

/** Options of a log of these topics that nothing limits, but for what the test says. */
export function logOptions(directory: string, options: Partial<EmbeddedLogOptions> = {}): EmbeddedLogOptions {
  return {
    directory,
    topics: TEST_TOPICS,
    segmentBytes: 64 * 1024,
    retentionMs: 1e12,
    retentionBytes: 1e12,
    behindBytesMax: 1e12,
    freeBytesMin: 0,
    queueBytesMax: 16 * 1024 * 1024,
    logger: createLogger('silent', 'test'),
    ...options,
  };
}

/** Logs to close when the test of their directory ends: before it goes, or they would write to nowhere. */
const openLogs = new Map<TestContext, EmbeddedLog[]>();

/** A directory that goes when the test ends. */
export function temporaryDirectory(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  test.after(async () => {
    for (const log of openLogs.get(test) ?? []) await log.close();
    openLogs.delete(test);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** Opens a log in a temporary directory of the test; it closes when the test ends, where it is not closed before. */
export async function openLog(
  test: TestContext,
  directory: string,
  options: Partial<EmbeddedLogOptions> = {},
) {
  const log = await openEmbeddedLog(logOptions(directory, options));
  openLogs.set(test, [...(openLogs.get(test) ?? []), log]);
  return log;
}

/** A record whose value is the text. */
export function recordOf(text: string): NewRecord {
  return {
    key: `key of ${text}`,
    timeMs: 1_587_321_000_000,
    headers: { job: 'test' },
    value: Buffer.from(text),
  };
}

/** The value of a record as text. */
export function textOf(record: LogRecord): string {
  return Buffer.from(record.value).toString();
}

/** Every record of a partition that can be read, from offset 0 on. */
export async function readAll(log: Log, topic: string, partition: number): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  for (let from = 0; ; from = records.at(-1)!.offset + 1) {
    const page = await log.read(topic, partition, from, 1000);
    if (page.length === 0) return records;
    records.push(...page);
  }
}

/**
 * Reads a partition from offset 0 on until it has so many records. A commit with offsets is a transaction on Kafka,
 * and what it wrote can be read a moment after it resolved.
 */
export async function readSoon(log: Log, topic: string, partition: number, count: number) {
  const endsAtMs = Date.now() + 30_000;
  for (;;) {
    const records = await readAll(log, topic, partition);
    if (records.length >= count || Date.now() > endsAtMs) return records;
    await delay(20);
  }
}

/** The state of one partition. */
export function partitionOf(state: LogState, topic: string, partition: number) {
  return state.topics.find(entry => entry.topic === topic)!.partitions[partition]!;
}
