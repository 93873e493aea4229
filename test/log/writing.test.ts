import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog, partitionOf, readAll, recordOf, temporaryDirectory, textOf } from './open-log.ts';

const beta = (text: string) => ({ appends: [{ topic: 'beta', partition: 0, records: [recordOf(text)] }] });

test('64 concurrent committers share syncs and get distinct, contiguous offsets', async context => {
  const log = await openLog(context, temporaryDirectory(context));
  const offsets: number[] = [];
  const positions = new Set<number>();
  const commit = async (name: string) => {
    for (let index = 0; index < 20; index++) {
      const result = await log.commit(beta(`${name}.${index}`));
      offsets.push(result.baseOffsets[0]!);
      positions.add(result.position);
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, sender) => commit(`${sender}`)));
  assert.deepEqual(
    offsets.toSorted((a, b) => a - b),
    Array.from({ length: 64 * 20 }, (_, index) => index),
  );
  // Commits that were synced together end at one position: 1280 commits, about 20 syncs.
  assert.ok(positions.size <= 80, `${positions.size} syncs`);
});

test('a full queue refuses, and takes again once it is written', async context => {
  const log = await openLog(context, temporaryDirectory(context), { queueBytesMax: 10_000 });
  const big = 'x'.repeat(6000);
  const first = log.commit(beta(big));
  await assert.rejects(log.commit(beta(big)), { code: 'ERR_LOG_BEHIND' });
  await first;
  const larger = await log.commit(beta('y'.repeat(20_000)));
  assert.deepEqual(larger.baseOffsets, [1]);
});

test('a failed sync is not retried as success: the segment is left, the next commit works', async context => {
  const directory = temporaryDirectory(context);
  const log = await openLog(context, directory);
  await log.commit(beta('before'));
  // The operating system's part is played here: no disk can be made to fail on demand.
  const handle = await open(join(directory, 'probe'), 'w');
  const prototype: { datasync(): Promise<void> } = Object.getPrototypeOf(handle);
  await handle.close();
  const failing = context.mock.method(prototype, 'datasync', () =>
    Promise.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })),
  );
  const outcomes = await Promise.allSettled([log.commit(beta('lost')), log.commit(beta('lost too'))]);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  await assert.rejects(log.commit(beta('lost')), { code: 'ERR_LOG_WRITE' });
  failing.mock.restore();

  const consumer = await log.consume('group', ['beta']);
  assert.deepEqual((await log.commit(beta('after'))).baseOffsets, [1]);
  assert.equal(readdirSync(join(directory, 'journal')).length, 2);
  assert.deepEqual((await readAll(log, 'beta', 0)).map(textOf), ['before', 'after']);
  const records = await consumer.poll({ recordsMax: 9, bytesMax: 9999, waitMsMax: 0 });
  assert.deepEqual(records.map(textOf), ['before', 'after']);
  await log.close();
  const again = await openLog(context, directory);
  assert.deepEqual((await readAll(again, 'beta', 0)).map(textOf), ['before', 'after']);
  assert.deepEqual((await again.describe()).quarantined, []);
});

test('an unsynced frame that could not be cut off is not read, nor recovered', async context => {
  const directory = temporaryDirectory(context);
  const log = await openLog(context, directory);
  await log.commit(beta('before'));
  const handle = await open(join(directory, 'probe'), 'w');
  const prototype: { datasync(): Promise<void>; truncate(): Promise<void> } = Object.getPrototypeOf(handle);
  await handle.close();
  const fail = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
  const mocks = [
    context.mock.method(prototype, 'datasync', fail),
    context.mock.method(prototype, 'truncate', fail),
  ];
  await assert.rejects(log.commit(beta('lost')), { code: 'ERR_LOG_WRITE' });
  for (const each of mocks) each.mock.restore();
  await log.commit(beta('after'));
  assert.deepEqual((await readAll(log, 'beta', 0)).map(textOf), ['before', 'after']);
  await log.close();
  rmSync(join(directory, 'checkpoint'));
  const again = await openLog(context, directory);
  assert.deepEqual((await readAll(again, 'beta', 0)).map(textOf), ['before', 'after']);
  assert.deepEqual((await again.describe()).quarantined, []);
});

test('a full disk refuses commits and keeps what it has; with room the log goes on', async context => {
  const directory = join(temporaryDirectory(context), 'disk');
  mkdirSync(directory);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  if (mounted.status !== 0) return context.skip('needs the right to mount a tmpfs');
  try {
    const log = await openLog(context, join(directory, 'log'), { segmentBytes: 64 * 1024 });
    const filler = join(directory, 'filler');
    writeFileSync(filler, Buffer.alloc(500_000));
    const spare = join(directory, 'spare');
    writeFileSync(spare, Buffer.alloc(30_000));
    const kept: string[] = [];
    const text = (index: number) => `${index} ${'x'.repeat(9000)}`;
    await assert.rejects(
      async () => {
        for (let index = 0; index < 200; index++) {
          await log.commit(beta(text(index)));
          kept.push(text(index));
        }
      },
      { code: 'ERR_DISK_FULL' },
    );
    assert.ok(kept.length > 20);
    // There is room for a part of this one, which must not stay behind.
    rmSync(spare);
    await assert.rejects(log.commit(beta('x'.repeat(60_000))), { code: 'ERR_DISK_FULL' });
    const journal = join(directory, 'log', 'journal');
    const written = readdirSync(journal).map(name => statSync(join(journal, name)).size);
    const { bytes } = await log.describe();
    assert.equal(
      written.reduce((sum, size) => sum + size, 0),
      bytes,
    );
    assert.deepEqual((await readAll(log, 'beta', 0)).map(textOf), kept);

    rmSync(filler);
    const { baseOffsets } = await log.commit(beta('room again'));
    assert.deepEqual(baseOffsets, [kept.length]);
    await log.close();
    const again = await openLog(context, join(directory, 'log'));
    assert.deepEqual((await readAll(again, 'beta', 0)).map(textOf), [...kept, 'room again']);
    const state = await again.describe();
    assert.deepEqual(state.quarantined, []);
    assert.equal(partitionOf(state, 'beta', 0).records, kept.length + 1);
    await again.close();
  } finally {
    // Lazily, for a test that fails leaves the log open on it.
    spawnSync('umount', ['-l', directory]);
  }
});

test('segments are closed at their size, and none is larger than it but for a single frame', async context => {
  const directory = temporaryDirectory(context);
  const log = await openLog(context, directory, { segmentBytes: 10_000 });
  for (let index = 0; index < 30; index++) await log.commit(beta('x'.repeat(1500)));
  const sizes = readdirSync(join(directory, 'journal')).map(
    name => statSync(join(directory, 'journal', name)).size,
  );
  assert.ok(sizes.length >= 5);
  assert.ok(
    sizes.every(size => size < 12_000),
    sizes.join(),
  );
});
