import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import { openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import { append, mountSmallDisk, NOW_MS, startArchive, startTables, TOPIC_SPECS, until } from './setting.ts';

const DISK_BYTES = 4 * 1024 * 1024;

test('on a full disk both sinks wait, and go on by themselves once there is room', async t => {
  const folder = mountSmallDisk(t, DISK_BYTES);
  if (folder === undefined) {
    t.skip('needs the right to mount a tmpfs');
    return;
  }
  const log = openMemoryLog(TOPIC_SPECS);
  const objects = await openLocalObjects(path.join(folder, 'archive'));
  const tables = await openTables(path.join(folder, 'tables.sqlite'), NOW_MS);
  const { archive } = await startArchive(t, { log, objects, index: tables });
  const sink = await startTables(t, log, tables);
  const ballast = path.join(folder, 'ballast');
  assert.throws(() => writeFileSync(ballast, Buffer.alloc(DISK_BYTES)), { code: 'ENOSPC' });

  const text = Array.from({ length: 20_000 }, (_, i) => (i * 2_654_435_761) >>> 0).join('');
  for (let i = 0; i < 20; i++) {
    await append(log, 'druid.events.telemetry', {
      value: JSON.stringify({ mid: `m${i}`, text: `${i}${text}`.slice(0, 20_000) }),
    });
  }
  await until('the tables say so', () => sink.trouble()?.code === 'ERR_DISK_FULL');
  await assert.rejects(archive.flush(), { code: 'ERR_DISK_FULL' });
  assert.deepEqual([sink.isCaughtUp(), archive.isCaughtUp()], [false, false]);

  rmSync(ballast);
  await until('the tables go on', () => sink.isCaughtUp());
  await until('the archive goes on', () => archive.trouble() === null);
  await archive.flush();
  const { ok, topics } = await archive.verify();
  assert.equal(ok, true);
  const row = topics.find(({ topic }) => topic === 'local.druid.events.telemetry');
  assert.equal(row?.partitions[0]?.archivedTo, 20);
  await sink.stop();
  await archive.stop();
  await tables.close();
});
