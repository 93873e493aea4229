import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeHeader, FIXED_BYTES, headerBytesOf } from '../../src/adapters/log/frame.ts';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  postUntilAcknowledged,
  startMillrace,
  validEvent,
} from './pipeline.ts';

const BATCHES = 12;

interface FrameEnd {
  /** Bytes of the file at the end of the frame. */
  readonly end: number;
  /** Input records that the file holds up to there. */
  readonly ingested: number;
}

/** Where each frame of a segment ends: what was on the disk after each sync. */
function framesOf(file: string): readonly FrameEnd[] {
  const bytes = readFileSync(file);
  const frames: FrameEnd[] = [];
  let ingested = 0;
  for (let at = 0; at < bytes.length; ) {
    const headerBytes = headerBytesOf(bytes.subarray(at, at + FIXED_BYTES), at);
    const header = headerBytes === undefined ? null : decodeHeader(bytes.subarray(at, at + headerBytes));
    assert.ok(header !== null, `a whole frame at ${at}`);
    for (const { topic, count } of header.sections) if (topic === 'local.telemetry.ingest') ingested += count;
    at += header.frameBytes;
    frames.push({ end: at, ingested });
  }
  return frames;
}

test('R05 after a power loss what was acknowledged is there once, wherever a write was cut off', async context => {
  const millrace = await startMillrace(context);
  for (let i = 0; i < BATCHES; i++) {
    const events = [validEvent(`r05-${i}-a`), validEvent(`r05-${i}-b`), validEvent('r05-same')];
    await postUntilAcknowledged(millrace, batchOf(`r05-${i}`, events));
  }
  await millrace.idle();
  await millrace.kill();
  const journal = join(millrace.data, 'local/log/journal');
  const whole = `${millrace.data}-whole`;
  cpSync(millrace.data, whole, { recursive: true });
  context.after(() => rmSync(whole, { recursive: true, force: true }));
  const [segment] = readdirSync(journal);
  const frames = framesOf(join(whole, 'local/log/journal', segment!));
  assert.ok(frames.length > BATCHES, `${frames.length} syncs`);

  const cuts = [0.15, 0.4, 0.6, 0.8, 1].map(share => Math.floor(frames.length * share) - 1);
  for (const [index, frame] of cuts.entries()) {
    const { end, ingested } = frames[frame]!;
    const before = frames[frame - 1] ?? { end: 0, ingested: 0 };
    // By turns: all of the last write, or half of it.
    const isTorn = index % 2 === 1;
    rmSync(millrace.data, { recursive: true });
    cpSync(whole, millrace.data, { recursive: true });
    // What the journal did not know yet was not there either.
    for (const name of ['archive', 'tables.sqlite', 'tables.sqlite-wal', 'tables.sqlite-shm']) {
      rmSync(join(millrace.data, 'local', name), { recursive: true, force: true });
    }
    rmSync(join(millrace.data, 'local/log/checkpoint'), { force: true });
    truncateSync(join(journal, segment!), isTorn ? Math.floor((before.end + end) / 2) : end);
    await millrace.up();
    const status = await millrace.idle();
    assertConserved(status);
    const kept = isTorn ? before.ingested : ingested;
    const expected = Array.from({ length: kept }, (_, i) => [`r05-${i}-a`, `r05-${i}-b`]).flat();
    const mids = await midsOf(millrace, 'druid.events.telemetry');
    const isSame = (mid: string) => mid === 'r05-same';
    assert.equal(mids.filter(isSame).length, Math.min(1, kept), 'its copies are duplicates');
    const good = mids.filter(mid => !isSame(mid));
    assert.deepEqual(good, expected, `cut after frame ${frame}${isTorn ? ', torn' : ''}`);
    await archiveAll(millrace);
    await millrace.kill();
  }
});
