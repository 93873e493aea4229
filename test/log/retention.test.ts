import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { EmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import { openLog, partitionOf, readAll, recordOf, temporaryDirectory, textOf } from './open-log.ts';

const POLL = { recordsMax: 1000, bytesMax: 1e9, waitMsMax: 0 } as const;

/** Writes about ten segments of 10 kB to beta. */
async function fill(log: EmbeddedLog): Promise<void> {
  for (let index = 0; index < 60; index++) {
    await log.commit({
      appends: [{ topic: 'beta', partition: 0, records: [recordOf(`${index} ${'x'.repeat(1500)}`)] }],
    });
  }
}

async function commitOffset(log: EmbeddedLog, group: string, offset: number): Promise<void> {
  await log.commit({ appends: [], offsets: [{ group, topic: 'beta', partition: 0, offset }] });
}

/** Retention runs beside the commits that open segments: waits for what it does. */
async function untilStart(log: EmbeddedLog, atLeast: number): Promise<number> {
  const deadlineMs = performance.now() + 30_000;
  while (performance.now() < deadlineMs) {
    const { startOffset } = partitionOf(await log.describe(), 'beta', 0);
    if (startOffset >= atLeast) return startOffset;
    await delay(10);
  }
  throw new Error(`retention did not reach offset ${atLeast}`);
}

test('size: the oldest segments go, once every group has passed them', async context => {
  const directory = temporaryDirectory(context);
  const log = await openLog(context, directory, { segmentBytes: 10_000, retentionBytes: 40_000 });
  const sink = await log.consume('sink', ['beta']);
  await log.consume('other', ['beta']);
  await fill(log);
  const held = await log.describe();
  assert.equal(partitionOf(held, 'beta', 0).startOffset, 0, 'two groups have read nothing');
  assert.ok(held.bytes > 80_000);

  await delay(110);
  assert.equal(log.admission()?.code, 'ERR_LOG_BEHIND');
  assert.match(log.admission()!.why, /retentionBytes.*(sink|other)/);

  await commitOffset(log, 'sink', 60);
  await fill(log);
  assert.equal(partitionOf(await log.describe(), 'beta', 0).startOffset, 0, 'one group has read nothing');
  await commitOffset(log, 'other', 60);
  await fill(log);
  const startOffset = await untilStart(log, 50);
  assert.ok(startOffset <= 60, 'nothing goes that a group has yet to read');
  assert.equal((await readAll(log, 'beta', 0))[0]!.offset, startOffset);
  assert.equal(partitionOf(await log.describe(), 'beta', 0).records, 180);
  const records = await sink.poll(POLL);
  assert.equal(records.length, 180 - records[0]!.offset);

  await log.close();
  const again = await openLog(context, directory, { segmentBytes: 10_000, retentionBytes: 40_000 });
  const state = partitionOf(await again.describe(), 'beta', 0);
  assert.deepEqual([state.startOffset, state.endOffset, state.records], [startOffset, 180, 180]);
});

test('age: segments go by the time of their last frame', async context => {
  let nowMs = 1000;
  const log = await openLog(context, temporaryDirectory(context), {
    segmentBytes: 10_000,
    retentionMs: 5000,
    nowMs: () => nowMs,
  });
  await fill(log);
  nowMs = 4000;
  await fill(log);
  assert.equal(partitionOf(await log.describe(), 'beta', 0).startOffset, 0);
  nowMs = 7000;
  await fill(log);
  const startOffset = await untilStart(log, 50);
  assert.ok(startOffset <= 62, 'what is 3000 ms old stays');
});

test('a position that someone keeps stays, also in the next run, until they let go', async context => {
  const directory = temporaryDirectory(context);
  const options = { segmentBytes: 10_000, retentionBytes: 20_000 };
  const first = await openLog(context, directory, options);
  first.keepFrom('dedup', 15_000);
  await fill(first);
  const startOffset = await untilStart(first, 1);
  assert.ok(startOffset < 12);
  await first.close();
  const log = await openLog(context, directory, options);
  await fill(log);
  assert.equal(partitionOf(await log.describe(), 'beta', 0).startOffset, startOffset);
  log.keepFrom('dedup', Number.POSITIVE_INFINITY);
  await fill(log);
  await untilStart(log, 100);
});

test('groups of earlier runs hold retention back, unless the run names those that count', async context => {
  const directory = temporaryDirectory(context);
  const options = { segmentBytes: 10_000, retentionBytes: 20_000 };
  const first = await openLog(context, directory, options);
  await first.consume('sink', ['beta']);
  await first.consume('gone', ['beta']);
  await fill(first);
  await first.close();
  const second = await openLog(context, directory, options);
  await commitOffset(second, 'sink', 60);
  await fill(second);
  assert.equal(partitionOf(await second.describe(), 'beta', 0).startOffset, 0);
  await second.close();
  const third = await openLog(context, directory, { ...options, groups: ['sink'] });
  await fill(third);
  assert.ok((await untilStart(third, 50)) <= 60);
});

test('a group that is too far behind closes the door, and catching up opens it', async context => {
  const log = await openLog(context, temporaryDirectory(context), { behindBytesMax: 50_000 });
  const consumer = await log.consume('slow', ['beta']);
  assert.equal(log.admission(), null);
  await fill(log);
  await delay(110);
  assert.equal(log.admission()?.code, 'ERR_LOG_BEHIND');
  assert.match(log.admission()!.why, /slow/);
  assert.equal(log.isIdle(), false);
  assert.equal((await consumer.poll(POLL)).length, 60);
  assert.equal(log.isIdle(), false, 'handed out is not done');
  await consumer.poll(POLL);
  assert.equal(log.isIdle(), true);
  await delay(110);
  assert.equal(log.admission(), null);
});

test('too little free disk closes the door', async context => {
  const log = await openLog(context, temporaryDirectory(context), { freeBytesMin: Number.MAX_SAFE_INTEGER });
  assert.equal(log.admission()?.code, 'ERR_DISK_FULL');
  await log.close();
  assert.equal(log.admission()?.code, 'ERR_LOG_CLOSED');
});

test('partitions may grow, and never shrink; topics that are no longer declared keep their offsets', async context => {
  const directory = temporaryDirectory(context);
  const first = await openLog(context, directory);
  await fill(first);
  await first.close();
  const fewer = openLog(context, directory, { topics: [{ topic: 'alpha', partitions: 1 }] });
  await assert.rejects(fewer, { code: 'ERR_CONFIG_INVALID' });
  const more = await openLog(context, directory, { topics: [{ topic: 'alpha', partitions: 3 }] });
  assert.deepEqual(
    (await more.describe()).topics.map(({ topic, partitions }) => [topic, partitions.length]),
    [['alpha', 3]],
  );
  await more.commit({ appends: [{ topic: 'alpha', partition: 2, records: [recordOf('a')] }] });
  await more.close();
  rmSync(join(directory, 'checkpoint'));
  const topics = [
    { topic: 'alpha', partitions: 3 },
    { topic: 'beta', partitions: 1 },
  ];
  const last = await openLog(context, directory, { topics });
  const append = { topic: 'beta', partition: 0, records: [recordOf('b')] };
  assert.deepEqual((await last.commit({ appends: [append] })).baseOffsets, [60]);
  assert.deepEqual((await last.read('alpha', 2, 0, 9)).map(textOf), ['a']);
  assert.ok(readdirSync(join(directory, 'journal')).length > 0);
});
