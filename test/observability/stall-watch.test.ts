import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../src/observability/conservation.ts';
import { StallWatch } from '../../src/observability/stall-watch.ts';

const LIMIT_MS = 1000;

function standing(partition: number, offset: number, waiting: number): Standing {
  return { group: 'tables', topic: 'telemetry.failed', partition, offset, waiting };
}

test('a reader stalls that has not moved for its time while records wait', () => {
  const watch = new StallWatch(() => LIMIT_MS);
  assert.deepEqual(watch.look([standing(0, 7, 3)], 0), []);
  assert.deepEqual(watch.look([standing(0, 7, 4)], LIMIT_MS - 1), []);
  const [stall] = watch.look([standing(0, 7, 5)], LIMIT_MS);
  assert.deepEqual(stall, { ...standing(0, 7, 5), stillMs: LIMIT_MS, isWhole: true });
  assert.deepEqual(watch.look([standing(0, 8, 4)], LIMIT_MS + 1), [], 'it has moved');
  assert.deepEqual(watch.look([standing(0, 8, 4)], 2 * LIMIT_MS), [], 'its time begins anew');
});

test('a reader that had nothing to do stands still from when something came', () => {
  const watch = new StallWatch(() => LIMIT_MS);
  watch.look([standing(0, 7, 0)], 0);
  assert.deepEqual(watch.look([standing(0, 7, 1)], 5 * LIMIT_MS), []);
  assert.equal(watch.look([standing(0, 7, 1)], 6 * LIMIT_MS).length, 1);
});

test('a stall is whole where nothing moves in any partition in which records wait', () => {
  const watch = new StallWatch(() => LIMIT_MS);
  watch.look([standing(0, 7, 1), standing(1, 4, 1), standing(2, 9, 0)], 0);
  const part = watch.look([standing(0, 7, 1), standing(1, 5, 1), standing(2, 9, 0)], LIMIT_MS);
  assert.deepEqual(
    part.map(({ partition, isWhole }) => [partition, isWhole]),
    [[0, false]],
  );
  const whole = watch.look([standing(0, 7, 1), standing(1, 5, 1), standing(2, 9, 0)], 2 * LIMIT_MS);
  assert.deepEqual(
    whole.map(({ partition, isWhole }) => [partition, isWhole]),
    [
      [0, true],
      [1, true],
    ],
  );
});

test('each group has a time of its own', () => {
  const watch = new StallWatch(group => (group === 'archive' ? 3 * LIMIT_MS : LIMIT_MS));
  const standings = [standing(0, 7, 1), { ...standing(0, 7, 1), group: 'archive' }];
  watch.look(standings, 0);
  assert.deepEqual(
    watch.look(standings, LIMIT_MS).map(({ group }) => group),
    ['tables'],
  );
  assert.deepEqual(
    watch.look(standings, 3 * LIMIT_MS).map(({ group }) => group),
    ['tables', 'archive'],
  );
});
