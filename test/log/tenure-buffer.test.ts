import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TenureBuffer } from '../../src/adapters/log/kafka/tenure-buffer.ts';
import { Tenure } from '../../src/adapters/log/kafka/tenures.ts';

const PLACE = { topic: 't', partition: 0 };
const LENT = { recordsMax: 2, bytesMax: 1_000_000, waitMsMax: 0, isLent: true };

/** Batches of three records each, each in memory of its own. */
function filled(batches: number) {
  const buffer = new TenureBuffer();
  const tenure = new Tenure(PLACE);
  const memories = Array.from({ length: batches }, (_, index) => {
    const memory = new ArrayBuffer(3);
    const records = [0, 1, 2].map(at => ({
      ...PLACE,
      offset: 3 * index + at,
      key: null,
      timeMs: 0,
      headers: {},
      value: Buffer.from(memory, at, 1).fill(65 + 3 * index + at),
    }));
    buffer.add({ records, memory: Buffer.from(memory) }, tenure);
    return memory;
  });
  const freed = () => memories.map(({ detached }) => detached);
  const take = (limit = LENT) => buffer.take(limit).map(({ value }) => Buffer.from(value).toString());
  return { buffer, tenure, freed, take };
}

describe('TenureBuffer', () => {
  it('frees memory once all that lies in it was handed out, at the next poll', () => {
    const { buffer, freed, take } = filled(2);
    assert.deepEqual(take(), ['A', 'B']);
    buffer.reclaim();
    assert.deepEqual(freed(), [false, false]);
    assert.deepEqual(take(), ['C', 'D']);
    assert.deepEqual(freed(), [false, false]);
    buffer.reclaim();
    assert.deepEqual(freed(), [true, false]);
    assert.deepEqual(take(), ['E', 'F']);
    buffer.reclaim();
    assert.deepEqual(freed(), [true, true]);
  });

  it('never frees memory in which something was handed out for good', () => {
    const { buffer, freed, take } = filled(3);
    take();
    take({ ...LENT, isLent: false });
    take();
    buffer.reclaim();
    assert.deepEqual(freed(), [false, false, false]);
    take({ ...LENT, recordsMax: 3 });
    buffer.reclaim();
    assert.deepEqual(freed(), [false, false, true]);
  });

  it('frees the memory of what was dropped with its tenure', () => {
    const { buffer, tenure, freed, take } = filled(2);
    tenure.isOpen = false;
    assert.deepEqual(take(), []);
    buffer.reclaim();
    assert.deepEqual(freed(), [true, true]);
  });
});
