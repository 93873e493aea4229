import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  post,
  postUntilAcknowledged,
  residentBytes,
  startMillrace,
  statusOf,
  until,
  validEvent,
} from './pipeline.ts';

const MIB = 1024 * 1024;
const BEHIND_BYTES_MAX = 8 * MIB;
const BATCHES_MAX = 400;
const GROWTH_BYTES_MAX = 64 * MIB;

test('R23 a sink that stands still reaches the client as 503 before memory grows', async context => {
  const millrace = await startMillrace(context, [
    `log.behindBytesMax=${BEHIND_BYTES_MAX}`,
    'log.segmentBytes=1048576',
    'archive.objectBytes=65536',
  ]);
  const event = (mid: string) => validEvent(mid, { note: `${mid} `.repeat(100) });
  const send = (name: string) =>
    post(
      millrace,
      batchOf(
        name,
        Array.from({ length: 50 }, (_, i) => event(`${name}-${i}`)),
      ),
    );
  for (let i = 0; i < 40; i++) assert.equal((await send(`r23-warm-${i}`)).status, 200);
  await millrace.idle();

  // Where objects are written first there is a file now: every one of them fails, and is tried again.
  const incoming = join(millrace.data, 'local/archive/.incoming');
  rmSync(incoming, { recursive: true });
  writeFileSync(incoming, '');
  const restBytes = residentBytes(millrace);
  let peakBytes = 0;
  let accepted = 0;
  let reply = await send('r23-first');
  for (; reply.status === 200 && accepted < BATCHES_MAX; accepted++) {
    reply = await send(`r23-${accepted}`);
    peakBytes = Math.max(peakBytes, residentBytes(millrace));
  }
  assert.deepEqual([reply.status, reply.code], [503, 'ERR_LOG_BEHIND']);
  assert.ok(Number(reply.retryAfter) >= 1);
  assert.ok(accepted > 20, `${accepted} batches fit`);
  assert.ok(peakBytes - restBytes < GROWTH_BYTES_MAX, `${(peakBytes - restBytes) / MIB} MiB more`);
  // It stays so, whatever time passes, and says why.
  await sleep(500);
  assert.equal((await send('r23-again')).status, 503);
  const { components } = await statusOf(millrace);
  assert.match(components.find(({ name }) => name === 'ingest')!.detail, /group archive is \d+ bytes behind/);
  assert.equal(components.find(({ name }) => name === 'archive')!.state, 'degraded');

  rmSync(incoming);
  await mkdir(incoming);
  await postUntilAcknowledged(millrace, batchOf('r23-after', [event('r23-after')]), 20_000);
  await until('the archive is well', async () =>
    (await statusOf(millrace)).components.every(({ state }) => state === 'ok'),
  );
  assertConserved(await millrace.idle());
  const good = await midsOf(millrace, 'druid.events.telemetry');
  assert.equal(new Set(good).size, good.length);
  assert.ok(good.includes('r23-after'));
  await archiveAll(millrace);
});
