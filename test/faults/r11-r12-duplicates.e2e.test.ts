import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertConserved,
  batchOf,
  midsOf,
  post,
  postUntilAcknowledged,
  recordsOf,
  rowsOf,
  startMillrace,
  validEvent,
} from './pipeline.ts';

test('R11 of 64 parallel copies of one event exactly one is good', async context => {
  const millrace = await startMillrace(context);
  const copies = Array.from({ length: 64 }, (_, i) => batchOf(`r11-${i}`, [validEvent('r11')]));
  const replies = await Promise.all(copies.map(body => post(millrace, body)));
  assert.ok(replies.every(({ status }) => status === 200));
  assertConserved(await millrace.idle());
  assert.deepEqual(await midsOf(millrace, 'druid.events.telemetry'), ['r11']);
  assert.equal((await midsOf(millrace, 'telemetry.duplicate')).length, 63);
  assert.deepEqual(await rowsOf(millrace, "SELECT count(*) AS n FROM events WHERE mid = 'r11'"), [{ n: 1 }]);
});

test('R12 a storm of duplicates, across a restart and past the time to live, is told apart exactly', async context => {
  // What comes before the sleep takes 2 s on an idle machine, and has to be over within it on a busy one.
  const ttlMs = 20_000;
  const millrace = await startMillrace(context, [`dedup.ttlMs=${ttlMs}`]);
  const startedAtMs = Date.now();
  const mids = Array.from({ length: 400 }, (_, i) => `r12-${i}`);
  const storm = async (round: string, from: readonly string[]) => {
    for (let at = 0; at < from.length; at += 20) {
      const events = from.slice(at, at + 20).map(mid => validEvent(mid));
      await postUntilAcknowledged(millrace, batchOf(`${round}-${at}`, events));
    }
  };
  await storm('first', mids.slice(0, 200));
  const markedAtMs = Date.now();
  await storm('half', mids.slice(100, 300));
  await millrace.kill();
  await millrace.up();
  await storm('restart', mids.slice(200, 400));
  assert.ok(Date.now() - startedAtMs < ttlMs, 'all within the time to live');
  await millrace.idle();
  const good = await midsOf(millrace, 'druid.events.telemetry');
  assert.deepEqual(good, mids, 'each once, in order: no false positive, no false negative');
  assert.equal((await recordsOf(millrace, 'telemetry.duplicate')).length, 200);

  await sleep(markedAtMs + ttlMs - Date.now());
  await storm('late', mids.slice(0, 100));
  assertConserved(await millrace.idle());
  assert.equal((await midsOf(millrace, 'druid.events.telemetry')).length, 500, 'past its time a key is new');
});
