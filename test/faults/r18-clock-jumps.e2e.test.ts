import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StatusDocument } from '../../src/core/documents.ts';
import { Millrace } from '../e2e/millrace.ts';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  post,
  recordsOf,
  until,
  validEvent,
} from './pipeline.ts';

const LIBRARY = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
].find(path => existsSync(path));
const DAY_S = 86_400;
/** Seconds that the wall clock is off, one jump after the other; the monotonic clock goes on as ever. */
const JUMPS_S = [DAY_S, 0, -DAY_S, 3650 * DAY_S, -3650 * DAY_S, 0.5, -0.5, 0];

const skip = LIBRARY === undefined ? 'needs libfaketime (package faketime)' : false;

test('R18 jumps of the clock lose nothing, double nothing and stop no rotation', { skip }, async context => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-clock-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const offset = join(folder, 'offset');
  const setClock = (seconds: number) => {
    writeFileSync(`${offset}.new`, `${seconds >= 0 ? '+' : ''}${seconds}\n`);
    renameSync(`${offset}.new`, offset);
  };
  setClock(0);
  const millrace = await Millrace.create(['archive.openMsMax=1000', 'log.segmentBytes=65536']);
  context.after(() => millrace.remove());
  const faked = {
    LD_PRELOAD: LIBRARY!,
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  Object.assign(process.env, faked);
  try {
    await millrace.up();
  } finally {
    for (const name of Object.keys(faked)) delete process.env[name];
  }

  const sent: string[] = [];
  const archivedTo = async (topic: string) => {
    const status = await millrace.fetch('/v1/archive/status');
    const { topics } = (await status.json()) as { topics: { topic: string; archivedTo: number }[] };
    return topics.find(row => row.topic === topic)?.archivedTo ?? 0;
  };
  for (const [i, seconds] of JUMPS_S.entries()) {
    setClock(seconds);
    for (let n = 0; n < 5; n++) {
      const mid = `r18-${i}-${n}`;
      const event = validEvent(mid, { note: 'x'.repeat(3000), ets: Date.now() + seconds * 1000 });
      assert.equal((await post(millrace, batchOf(mid, [event]))).status, 200, mid);
      sent.push(mid);
    }
    const status = (await (await millrace.fetch('/v1/status')).json()) as StatusDocument;
    assert.ok(
      status.components.every(({ state }) => state === 'ok'),
      JSON.stringify(status.components),
    );
    assert.ok(status.uptimeMs >= 0 && status.uptimeMs < 120_000, `up for ${status.uptimeMs} ms`);
    // By itself: an object is not left open for years because the clock once was in the future.
    const end = sent.length;
    await until('the archive follows', async () => (await archivedTo('local.telemetry.ingest')) >= end);
  }
  assertConserved(await millrace.idle());
  assert.deepEqual([...(await midsOf(millrace, 'druid.events.telemetry'))].sort(), [...sent].sort());
  const times = (await recordsOf(millrace, 'telemetry.ingest')).map(({ timeMs }) => timeMs);
  assert.ok(Math.max(...times) - Math.min(...times) > 7000 * DAY_S * 1000, 'the process saw the jumps');
  await archiveAll(millrace);
});
