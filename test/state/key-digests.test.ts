import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyDigests } from '../../src/adapters/state/key-digests.ts';
import type { MarkKey } from '../../src/core/job.ts';

const SEEDS = Buffer.from('sixteen bytes ab');
const key = (n: number): MarkKey => ({ space: n % 3 === 0 ? 'batch' : 'event', key: `mid-${n}` });

test('a digest is the same taken as kept, in whatever order, of keys that were kept and others', async () => {
  const fresh = await KeyDigests.create(SEEDS);
  const numbers = fc.array(fc.oneof(fc.nat(20), fc.nat(2000)), { maxLength: 600 });
  await fc.assert(
    fc.asyncProperty(numbers, numbers, fc.boolean(), async (kept, taken, isInOrder) => {
      const digests = await KeyDigests.create(SEEDS);
      for (const number of kept) digests.keep(key(number));
      const inOrder = kept.filter((_, index) => index % 7 !== 0 && (index < 50 || index > 400));
      for (const number of isInOrder ? inOrder : taken) {
        const digest = [...digests.take(key(number))];
        assert.deepEqual(digest, [...fresh.take(key(number))]);
      }
      digests.clear();
      for (const number of taken)
        assert.deepEqual([...digests.keep(key(number))], [...fresh.take(key(number))]);
    }),
    { numRuns: 50 },
  );
});

test('more keys than are kept have their digests all the same', async () => {
  const [digests, fresh] = [await KeyDigests.create(SEEDS), await KeyDigests.create(SEEDS)];
  for (let number = 0; number < 70_000; number++) digests.keep(key(number));
  for (const number of [0, 1, 65_535, 65_536, 69_999]) {
    assert.deepEqual([...digests.take(key(number))], [...fresh.take(key(number))], `key ${number}`);
  }
});

test('keys of two spaces have two digests', async () => {
  const digests = await KeyDigests.create(SEEDS);
  digests.keep({ space: 'batch', key: 'same' });
  const event = [...digests.keep({ space: 'event', key: 'same' })];
  assert.deepEqual([...digests.take({ space: 'event', key: 'same' })], event);
  assert.notDeepEqual([...digests.take({ space: 'batch', key: 'same' })], event);
});
