import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Log, ObjectStore, QuarantinedRange } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { createArchive } from '../../src/runtime/archive/archive.ts';
import {
  ARCHIVE_CONFIG,
  ARCHIVED_TOPICS,
  append,
  DAY_MS,
  ENVIRONMENT,
  LOGGER,
  linesOf,
  NOW_MS,
  scratch,
  startArchive,
  TOPIC_SPECS,
  until,
  verdictOf,
} from './setting.ts';

/** A log that has lost some offsets. */
function withQuarantine(log: Log, quarantined: readonly QuarantinedRange[]): Log {
  const isLost = (record: LogRecord) =>
    quarantined.some(
      row => row.topic === record.topic && record.offset >= row.fromOffset && record.offset < row.toOffset,
    );
  return {
    partitionCount: topic => log.partitionCount(topic),
    commit: commit => log.commit(commit),
    close: () => log.close(),
    describe: async () => ({ ...(await log.describe()), quarantined }),
    read: async (...args) => (await log.read(...args)).filter(record => !isLost(record)),
    async consume(group, topics) {
      const consumer = await log.consume(group, topics);
      return {
        poll: async limit => (await consumer.poll(limit)).filter(record => !isLost(record)),
        isCaughtUp: () => consumer.isCaughtUp(),
        close: () => consumer.close(),
      };
    },
  };
}

test('quarantined offsets are no gaps, also at the end', async t => {
  const memory = openMemoryLog(TOPIC_SPECS);
  for (let i = 0; i < 10; i++) await append(memory, 'telemetry.failed', { value: `{"i":${i}}` });
  const place = { topic: 'local.telemetry.failed', partition: 0 };
  const lost = [
    { ...place, fromOffset: 0, toOffset: 2 },
    { ...place, fromOffset: 4, toOffset: 5 },
    { ...place, fromOffset: 8, toOffset: 10 },
  ];
  const { archive } = await startArchive(t, { log: withQuarantine(memory, lost) });
  await archive.flush();
  const verdict = await verdictOf(archive, 'telemetry.failed');
  assert.deepEqual([verdict.ok, verdict.archivedTo, verdict.quarantined.length], [true, 10, 3]);
  assert.deepEqual(
    await linesOf(archive, 'telemetry.failed'),
    [2, 3, 5, 6, 7].map(i => `{"i":${i}}`),
  );
  await append(memory, 'telemetry.failed', { value: '{"i":10}' });
  await archive.flush();
  assert.equal((await verdictOf(archive, 'telemetry.failed')).ok, true);
});

test('an archive that begins late answers for what it began with', async t => {
  const memory = openMemoryLog(TOPIC_SPECS);
  for (let i = 0; i < 10; i++) await append(memory, 'telemetry.failed', { value: `{"i":${i}}` });
  const retired: Log = {
    ...withQuarantine(memory, []),
    describe: async () => {
      const state = await memory.describe();
      const topics = state.topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(row =>
          topic.endsWith('telemetry.failed') ? { ...row, startOffset: 6 } : row,
        ),
      }));
      return { ...state, topics };
    },
  };
  const { archive } = await startArchive(t, { log: retired });
  await archive.flush();
  const verdict = await verdictOf(archive, 'telemetry.failed');
  assert.deepEqual([verdict.ok, verdict.archivedTo], [true, 10]);
  const [object] = (await archive.objects()).objects;
  assert.deepEqual([object?.fromOffset, object?.toOffset, object?.records], [6, 10, 4]);
});

test('an object that is there with other content is a conflict, and goes on once it is moved', async t => {
  const { archive, log, objects, folder } = await startArchive(t);
  await append(log, 'telemetry.audit', { value: '{"a":1}' });
  const name = 'telemetry.audit/2024-05-01/0/00000000000000000000-00000000000000000001-1of1.jsonl.zst';
  await objects.create(name, Buffer.from('something else'));
  await assert.rejects(archive.flush(), { code: 'ERR_OBJECT_CONFLICT' });
  assert.equal(archive.trouble()?.code, 'ERR_OBJECT_CONFLICT');
  rmSync(path.join(folder, 'archive', name));
  await until('it goes on', async () => archive.trouble() === null);
  await archive.flush();
  assert.equal((await archive.verify()).ok, true);
});

test('a store that is away is waited for; nothing is skipped', async t => {
  const folder = scratch(t);
  const store = await openLocalObjects(path.join(folder, 'objects'));
  let failures = 3;
  const objects: ObjectStore = {
    ...store,
    async create(name, bytes) {
      if (failures-- > 0) throw new MillraceError('ERR_DISK_FULL', 'no room');
      return store.create(name, bytes);
    },
  };
  const { archive, log } = await startArchive(t, { objects });
  await append(log, 'telemetry.audit', { value: '{"a":1}' });
  await assert.rejects(archive.flush(), { code: 'ERR_DISK_FULL' });
  await until('it is over', () => archive.trouble() === null);
  await archive.flush();
  assert.deepEqual(await linesOf(archive, 'telemetry.audit'), ['{"a":1}']);
  assert.equal((await archive.verify()).ok, true);
});

test('stopped and started at any moment, the objects hold each record once', async t => {
  const folder = scratch(t);
  const log = openMemoryLog(TOPIC_SPECS);
  const objects = await openLocalObjects(path.join(folder, 'objects'));
  const { tables } = await startArchive(t, { log: openMemoryLog(TOPIC_SPECS) });
  let seed = 1181;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  let written = 0;
  const open = () =>
    createArchive({
      log,
      objects,
      index: tables,
      config: { ...ARCHIVE_CONFIG, 'archive.objectBytes': 2_000 },
      environment: ENVIRONMENT,
      topics: ARCHIVED_TOPICS,
      logger: LOGGER,
      nowMs: () => NOW_MS,
    });
  for (let round = 0; round < 15; round++) {
    const archive = open();
    archive.start();
    for (let i = 0; i < 40; i++) {
      const value = `{"i":${written++},"pad":"${'x'.repeat(random() * 100)}"}`;
      await append(log, 'druid.events.telemetry', {
        value,
        timeMs: NOW_MS + Math.floor(random() * 3) * DAY_MS,
      });
    }
    await new Promise(resolve => setTimeout(resolve, random() * 30));
    await archive.stop();
  }
  const archive = open();
  archive.start();
  await archive.flush();
  assert.equal((await archive.verify()).ok, true);
  const numbers = (await linesOf(archive, 'druid.events.telemetry')).map(line => JSON.parse(line).i);
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: written }, (_, i) => i),
  );
  await archive.stop();
});

test('without its index the archive still lists and verifies the same', async t => {
  const { archive, log, objects } = await startArchive(t);
  for (let i = 0; i < 20; i++) {
    await append(log, 'telemetry.failed', { value: `{"i":${i}}`, timeMs: NOW_MS + (i % 2) * DAY_MS });
    if (i % 7 === 0) await archive.flush();
  }
  await archive.flush();
  const before = await archive.objects();
  await archive.stop();
  const { archive: again } = await startArchive(t, { log, objects });
  assert.deepEqual(await again.objects(), before);
  assert.equal((await again.verify()).ok, true);
  await append(log, 'telemetry.failed', { value: '{"i":20}' });
  await again.flush();
  assert.equal((await again.verify()).ok, true);
});

test('what is asked of an archive that does not run is refused', async t => {
  const { archive } = await startArchive(t);
  await archive.stop();
  await assert.rejects(archive.flush(), { code: 'ERR_NOT_READY' });
  assert.equal((await archive.verify()).ok, true);
});
