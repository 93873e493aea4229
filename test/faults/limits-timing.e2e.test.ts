import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Millrace } from '../e2e/millrace.ts';
import { batchOf, invalidEvent, post, until, validEvent } from './pipeline.ts';

const FOUND_MS_MAX = 2_000;
const DEEP_MS_MAX = 500;

/** How soon it is done; that it is done, and right, is asserted where other tests run at the same time. */
describe('faults, timed', () => {
  let millrace: Millrace;
  before(async () => {
    millrace = await Millrace.create();
    await millrace.up();
  });
  after(() => millrace?.remove());

  it('R15 one bad event in a batch of 100 can be found within 2 s', async () => {
    const events = Array.from({ length: 100 }, (_, i) => (i === 41 ? invalidEvent : validEvent)(`r15-${i}`));
    const startedMs = performance.now();
    assert.equal((await post(millrace, batchOf('r15', events))).status, 200);
    await until('it is found', async () => (await millrace.fetch('/v1/trace/r15-41')).status === 200);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < FOUND_MS_MAX, `found after ${tookMs} ms`);
  });

  it('R22 depth is refused at once, however deep', async () => {
    for (const depth of [41, 1000, 1_000_000]) {
      const body = `{"events":[],"deep":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
      const startedMs = performance.now();
      assert.equal((await post(millrace, body)).code, 'ERR_BODY_TOO_DEEP');
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs < DEEP_MS_MAX, `depth ${depth} took ${tookMs} ms`);
    }
  });
});
