import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Mark, MarkSpace } from '../../src/core/job.ts';
import type { StateStore } from '../../src/core/ports.ts';

/** How long a mark lives in the contract. */
export const TTL_MS = 10_000;
const T0_MS = 1_718_000_000_000;

/** A way to open an empty store, closed when the test is over. */
export type OpenState = (t: TestContext) => Promise<StateStore>;

/** A mark of an event at an offset of partition 0. */
export function markAt(key: string, offset: number, timeMs = T0_MS, space: MarkSpace = 'event'): Mark {
  return { space, key, source: { topic: 'local.telemetry.ingest', partition: 0, offset, index: 0 }, timeMs };
}

/** What every store of first sightings does, whatever lies beneath. */
export function testState(name: string, open: OpenState, skip: string | false = false): void {
  describe(`state: ${name}`, { skip }, () => {
    it('knows what was marked, in the order it is asked', async t => {
      const state = await open(t);
      await commit(state, [markAt('a', 0), markAt('b', 1, T0_MS + 500)]);
      const found = await state.seen([markAt('b', 0), markAt('none', 0), markAt('a', 0), markAt('b', 0)]);
      assert.deepEqual(
        found.map(sighting => sighting?.expiresAtMs),
        [T0_MS + 500 + TTL_MS, undefined, T0_MS + TTL_MS, T0_MS + 500 + TTL_MS],
      );
    });

    it('says where a key was seen, or nothing of it', async t => {
      const state = await open(t);
      await commit(state, [markAt('a', 7)]);
      const [sighting] = await state.seen([markAt('a', 0)]);
      assert.ok(sighting !== undefined);
      if (sighting.source !== null) assert.deepEqual(sighting.source, markAt('a', 7).source);
    });

    it('keeps spaces apart', async t => {
      const state = await open(t);
      await commit(state, [markAt('a', 0, T0_MS, 'event')]);
      const spaces = ['batch', 'event', 'route', 'summary'] as const;
      const found = await state.seen(spaces.map(space => markAt('a', 0, T0_MS, space)));
      assert.deepEqual(
        found.map(sighting => sighting !== undefined),
        [false, true, false, false],
      );
    });

    it('takes nothing, asks for nothing', async t => {
      const state = await open(t);
      assert.deepEqual(await state.seen([]), []);
      assert.notEqual(await state.mark([]), 'conflict');
      await state.committed(1);
    });

    it('moves a mark on where the one before ran out, within a batch too', async t => {
      const state = await open(t);
      const laterMs = T0_MS + TTL_MS;
      await commit(state, [markAt('a', 0)]);
      await commit(state, [markAt('a', 5, laterMs), markAt('b', 6), markAt('b', 7, laterMs)]);
      const found = await state.seen([markAt('a', 0), markAt('b', 0)]);
      assert.deepEqual(
        found.map(sighting => sighting?.expiresAtMs),
        [laterMs + TTL_MS, laterMs + TTL_MS],
      );
    });

    it('tells apart keys of any text', async t => {
      const state = await open(t);
      const keys = [
        '',
        ' ',
        'é',
        'e\u0301',
        'a\n',
        'a\0',
        '__proto__',
        'a:b 1',
        'x'.repeat(600),
        'x'.repeat(601),
      ];
      for (const [index, key] of keys.entries()) {
        assert.deepEqual(await state.seen([markAt(key, 0)]), [undefined], JSON.stringify(key));
        await commit(state, [markAt(key, index)]);
        assert.ok((await state.seen([markAt(key, 0)]))[0], JSON.stringify(key));
      }
    });

    it('holds as many keys as a large batch has', async t => {
      const state = await open(t);
      const marks = Array.from({ length: 50_000 }, (_, n) => markAt(`k${n}`, n));
      await commit(state, marks);
      const found = await state.seen(marks);
      assert.equal(found.filter(sighting => sighting === undefined).length, 0);
    });
  });
}

async function commit(state: StateStore, marks: readonly Mark[]): Promise<void> {
  assert.notEqual(await state.mark(marks), 'conflict');
  await state.committed(1);
}
