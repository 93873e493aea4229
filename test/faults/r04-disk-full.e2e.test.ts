import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '../e2e/millrace.ts';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  post,
  postUntilAcknowledged,
  rowsOf,
  statusOf,
  until,
  validEvent,
} from './pipeline.ts';

const DISK = '48m';
const MIB = 1024 * 1024;

/** Puts a small disk under a data directory, until the test ends; false where this process may not mount. */
function mountSmallDisk(test: TestContext, millrace: Millrace): boolean {
  try {
    const options = ['-t', 'tmpfs', '-o', `size=${DISK}`];
    execFileSync('mount', [...options, 'tmpfs', millrace.data], { stdio: 'ignore' });
  } catch {
    test.after(() => millrace.remove());
    return false;
  }
  test.after(async () => {
    await millrace.kill();
    execFileSync('umount', ['-l', millrace.data]);
    await millrace.remove();
  });
  return true;
}

/** Leaves only so many bytes free; answers the file to remove. */
function fillDisk(folder: string, leaveBytes: number): string {
  const { bavail, bsize } = statfsSync(folder);
  const ballast = join(folder, 'ballast');
  try {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  } catch (error) {
    // Others wrote meanwhile: it is full all the same.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
  return ballast;
}

/** Sends batches until one is refused; answers the mids that were acknowledged. */
async function sendUntilRefused(millrace: Millrace, name: string, batchesMax: number) {
  const acknowledged: string[] = [];
  for (let i = 0; i < batchesMax; i++) {
    const mids = Array.from({ length: 20 }, (_, each) => `${name}-${i}-${each}`);
    const events = mids.map(mid => validEvent(mid, { note: `${mid} `.repeat(40) }));
    const reply = await post(millrace, batchOf(`${name}-${i}`, events));
    if (reply.status !== 200) return { acknowledged, reply };
    acknowledged.push(...mids);
  }
  return { acknowledged, reply: undefined };
}

// freeBytesMin 0 lets the disk fill to its last byte, so that every writer meets ENOSPC; 4 MiB refuses before.
for (const freeBytesMin of [0, 4 * MIB]) {
  test(`R04 a full disk refuses, forgets nothing, ends by itself (reserve ${freeBytesMin})`, async context => {
    const millrace = await Millrace.create([
      `log.freeBytesMin=${freeBytesMin}`,
      'log.segmentBytes=1048576',
      'archive.openMsMax=1000',
    ]);
    if (!mountSmallDisk(context, millrace)) {
      context.skip('needs the right to mount a tmpfs');
      return;
    }
    await millrace.up();
    const before = await sendUntilRefused(millrace, 'before', 5);
    assert.equal(before.acknowledged.length, 100);

    const ballast = fillDisk(millrace.data, 256 * 1024);
    const during = await sendUntilRefused(millrace, 'during', 200);
    assert.equal(during.reply?.status, 503, JSON.stringify(during.reply));
    assert.equal(during.reply?.code, 'ERR_DISK_FULL');
    assert.ok(Number(during.reply?.retryAfter) >= 1, 'says when to come back');
    if (freeBytesMin > 0) {
      // The look at the disk is a quarter of a second old at most.
      await sleep(400);
      assert.equal((await post(millrace, batchOf('r04-small', []))).status, 503, 'also what would still fit');
    }
    await until('a component says so', async () =>
      (await statusOf(millrace)).components.some(
        ({ state, detail }) => state === 'degraded' && /no room/.test(detail),
      ),
    );

    rmSync(ballast);
    await postUntilAcknowledged(millrace, batchOf('r04-after', [validEvent('after')]));
    assertConserved(await millrace.idle());
    const good = await midsOf(millrace, 'druid.events.telemetry');
    const expected = [...before.acknowledged, ...during.acknowledged, 'after'];
    assert.deepEqual(
      good.filter(mid => expected.includes(mid)),
      expected,
      'acknowledged once, kept once, in order',
    );
    assert.equal(new Set(good).size, good.length);
    const [rows] = await rowsOf(millrace, "SELECT count(*) AS n FROM events WHERE eid = 'IMPRESSION'");
    assert.equal(rows?.['n'], good.length, 'the tables went on');
    const objects = await archiveAll(millrace);
    const archived = objects.filter(({ topic }) => topic === 'local.druid.events.telemetry');
    assert.equal(
      archived.reduce((sum, { records }) => sum + records, 0),
      good.length,
      'the archive went on',
    );
    assert.equal(await millrace.stop(), 0);
  });
}

test('R04 a start on a full disk is refused by name, and succeeds once there is room', async context => {
  const millrace = await Millrace.create(['log.freeBytesMin=0']);
  if (!mountSmallDisk(context, millrace)) {
    context.skip('needs the right to mount a tmpfs');
    return;
  }
  await millrace.up();
  await postUntilAcknowledged(millrace, batchOf('r04-kept', [validEvent('kept')]));
  await millrace.kill();
  const ballast = fillDisk(millrace.data, 0);
  const refused = await millrace.run(['up', '--port', '0']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /the disk has no room/);
  assert.doesNotMatch(refused.stderr, /\n +at /, 'no stack');
  rmSync(ballast);
  await millrace.up();
  await millrace.idle();
  assert.deepEqual(await midsOf(millrace, 'druid.events.telemetry'), ['kept']);
});
