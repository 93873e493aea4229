import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { FailedDocument } from '../../src/core/documents.ts';
import { Millrace } from '../e2e/millrace.ts';
import { assertConserved, batchOf, endsOf, post, validEvent } from './pipeline.ts';

const EVENT_BYTES_MAX = 5000;
const BODY_BYTES_MAX = 32 * 1024 * 1024;

describe('inputs at and past the limits', () => {
  let millrace: Millrace;
  before(async () => {
    const sets = [`extract.eventBytesMax=${EVENT_BYTES_MAX}`, `ingest.bodyBytesMax=${BODY_BYTES_MAX}`];
    millrace = await Millrace.create(sets);
    await millrace.up();
  });
  after(() => millrace?.remove());

  it('R20 an event one byte over, at and under its limit', async () => {
    // What extract measures holds the stamp, whose length is known: `syncts` and `@timestamp`.
    const stamp = Buffer.byteLength(`,"syncts":${Date.now()},"@timestamp":"${new Date().toISOString()}"`);
    const sized = (mid: string, bytes: number) => {
      const bare = validEvent(mid, { note: '' });
      const left = bytes - stamp - Buffer.byteLength(JSON.stringify(bare));
      return { ...bare, note: 'x'.repeat(left) };
    };
    const events = [-1, 0, 1].map(extra => sized(`r20-${extra}`, EVENT_BYTES_MAX + extra));
    assert.equal((await post(millrace, batchOf('r20', events))).status, 200);
    assertConserved(await millrace.idle());
    assert.deepEqual(await endsOf(millrace, 'r20--1'), ['events']);
    assert.deepEqual(await endsOf(millrace, 'r20-0'), ['events']);
    assert.deepEqual(await endsOf(millrace, 'r20-1'), ['failed']);
  });

  it('R20 a body one byte over, at and under its limit', async () => {
    const empty = batchOf('r20-body', []).slice(0, -1);
    for (const [extra, status] of [
      [-1, 200],
      [0, 200],
      [1, 413],
    ] as const) {
      const rest = BODY_BYTES_MAX + extra - empty.length - ',"pad":""}'.length;
      const reply = await post(millrace, `${empty},"pad":"${'x'.repeat(rest)}"}`);
      assert.equal(reply.status, status, `${extra}`);
    }
  });

  it('R20 an array of 10 M elements and an object of 1 M keys fail as what they are', async () => {
    const array = `[${new Array(10_000_000).fill('0').join(',')}]`;
    const keys = `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i.toString(36)}":1`).join(',')}}`;
    for (const [name, huge] of Object.entries({ array, keys })) {
      const body = batchOf(`r20-${name}`, [validEvent(`r20-${name}`, { note: '#' })]).replace('"#"', huge);
      assert.equal((await post(millrace, body)).status, 200, name);
      assertConserved(await millrace.idle());
      assert.deepEqual(await endsOf(millrace, `r20-${name}`), ['failed'], name);
    }
    const { failed } = (await (
      await millrace.fetch('/v1/failed?code=ERR_EVENT_TOO_LARGE')
    ).json()) as FailedDocument;
    assert.equal(failed.length, 3);
  });

  it('R22 depth is refused at its limit, however deep', async () => {
    const nested = (depth: number) => `{"events":[],"deep":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    for (const depth of [10, 39, 40, 41, 1000, 1_000_000]) {
      const reply = await post(millrace, nested(depth));
      const expected = depth <= 40 ? [200, ''] : [400, 'ERR_BODY_TOO_DEEP'];
      assert.deepEqual([reply.status, reply.code], expected, `depth ${depth}`);
    }
  });

  it('R22 depth in a topic fails the record alone, whatever its depth', async () => {
    const rejectedBefore = (await millrace.idle()).counters['extract.rejected'] ?? 0;
    const lines = [5, 5000, 1_000_000].map(depth => {
      const deep = `${'[{"a":'.repeat(depth)}null${'}]'.repeat(depth)}`;
      return batchOf(`r22-${depth}`, [validEvent(`r22-${depth}`, { note: '#' })]).replace('"#"', deep);
    });
    lines.push(batchOf('r22-after', [validEvent('r22-after')]));
    const produced = await millrace.run(
      ['topics', 'produce', 'telemetry.ingest', '--input', '-'],
      `${lines.join('\n')}\n`,
    );
    assert.equal(produced.code, 0, produced.stderr);
    const status = await millrace.idle();
    assertConserved(status);
    assert.deepEqual(await endsOf(millrace, 'r22-after'), ['events']);
    assert.deepEqual(await endsOf(millrace, 'r22-5'), ['events']);
    assert.equal(status.counters['extract.rejected'], rejectedBefore + 2, 'each deep one is a failed record');
  });
});
