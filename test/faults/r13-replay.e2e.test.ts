import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { archiveAll, batchOf, invalidEvent, post, startMillrace, validEvent } from './pipeline.ts';

/** What the archive made by itself; the rest is the log's. */
const LOCAL = ['tables.sqlite', 'tables.sqlite-wal', 'tables.sqlite-shm'];

test('R13 the same offsets become the same objects again, byte for byte, after local state was lost', async context => {
  const millrace = await startMillrace(context);
  for (let i = 0; i < 10; i++) {
    const reply = await post(
      millrace,
      batchOf(`r13-${i}`, [validEvent(`r13-${i}`), invalidEvent(`r13-bad-${i}`)]),
    );
    assert.equal(reply.status, 200);
  }
  await millrace.idle();
  await millrace.kill();
  const before = `${millrace.data}-before`;
  cpSync(millrace.data, before, { recursive: true });
  context.after(() => rmSync(before, { recursive: true, force: true }));

  await millrace.up();
  const first = await archiveAll(millrace);
  assert.ok(first.length >= 4, `${first.length} objects`);
  await millrace.kill();

  // Everything the sink knew is gone, and the topics are quiet: nothing but the offsets says what to do.
  for (const keepsArchive of [false, true]) {
    const archive = join(millrace.data, 'local/archive');
    const kept = `${millrace.data}-archive`;
    cpSync(archive, kept, { recursive: true });
    rmSync(millrace.data, { recursive: true });
    cpSync(before, millrace.data, { recursive: true });
    for (const name of LOCAL) rmSync(join(millrace.data, 'local', name), { force: true });
    rmSync(archive, { recursive: true, force: true });
    if (keepsArchive) cpSync(kept, archive, { recursive: true });
    rmSync(kept, { recursive: true });
    await millrace.up();
    assert.deepEqual(
      await archiveAll(millrace),
      first,
      keepsArchive ? 'over the objects' : 'into an empty store',
    );
    await millrace.kill();
  }
});
