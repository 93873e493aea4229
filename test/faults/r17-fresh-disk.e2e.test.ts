import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ArchiveDocument } from '../../src/core/documents.ts';
import { archiveAll, batchOf, endsOf, post, startMillrace, statusOf, validEvent } from './pipeline.ts';

test('R17 on a fresh disk it starts anew, and leaves an archive that was carried over as it is', async context => {
  const millrace = await startMillrace(context);
  for (let i = 0; i < 5; i++)
    assert.equal((await post(millrace, batchOf(`r17-${i}`, [validEvent(`r17-${i}`)]))).status, 200);
  await millrace.idle();
  const old = await archiveAll(millrace);
  await millrace.stop();
  const archive = join(millrace.data, 'local/archive');
  const carried = `${millrace.data}-archive`;
  cpSync(archive, carried, { recursive: true });
  context.after(() => rmSync(carried, { recursive: true, force: true }));
  rmSync(millrace.data, { recursive: true });
  mkdirSync(millrace.data);
  await millrace.up();
  assert.deepEqual((await statusOf(millrace)).counters['extract.received'] ?? 0, 0);
  assert.equal((await post(millrace, batchOf('r17-new', [validEvent('r17-0')]))).status, 200);
  await millrace.idle();
  assert.deepEqual(await endsOf(millrace, 'r17-0'), ['events'], 'nothing is remembered');
  await millrace.stop();

  // The new log counts its offsets from 0 too: its objects must not take the place of the old ones.
  cpSync(carried, archive, { recursive: true });
  await millrace.up();
  const flushed = await millrace.run(['archive', 'flush']);
  const { objects } = await millrace.json<ArchiveDocument>(['archive', 'ls']);
  for (const { object, sizeBytes, sha256 } of old) {
    const now = objects.find(entry => entry.object === object);
    assert.deepEqual([now?.sizeBytes, now?.sha256], [sizeBytes, sha256], object);
    assert.deepEqual(readFileSync(join(archive, object)), readFileSync(join(carried, object)), object);
  }
  const verified = await millrace.run(['archive', 'verify']);
  assert.ok(flushed.code !== 0 || verified.code !== 0, 'and it is said that they do not belong together');
});
