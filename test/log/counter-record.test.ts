import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addTo,
  addWritten,
  CounterSums,
  decodeCounterRecord,
  emptyCounterRecord,
  encodeCounterRecord,
  setProgress,
} from '../../src/adapters/log/kafka/counter-record.ts';

const ROW = { group: 'g', topic: 't', partition: 1 };

function recordWith(epoch: number, offset: number, passed: number) {
  const record = emptyCounterRecord();
  setProgress(record, ROW, [epoch, offset, passed]);
  return record;
}

describe('counters beside transactions', () => {
  it('come back from their bytes, and add up over processes', () => {
    const one = emptyCounterRecord();
    addTo(one, { a: 2, b: 1 });
    addTo(one, { a: 1 });
    addWritten(one, 't', 2, 7);
    addWritten(one, 't', 2, 1);
    const two = decodeCounterRecord(encodeCounterRecord(one));
    assert.deepEqual(two, one);
    const sums = new CounterSums([one, two]);
    assert.deepEqual(sums.counters, { a: 6, b: 2 });
    assert.equal(sums.writtenTo('t', 2), 16);
    assert.equal(sums.writtenTo('t', 0), 0);
  });

  it('take the furthest offset of an epoch and add what its members passed; an older epoch counts no more', () => {
    const sums = new CounterSums([
      recordWith(1, 30, 12),
      recordWith(2, 8, 3),
      recordWith(2, 6, 2),
      recordWith(1, 99, 9),
    ]);
    assert.deepEqual(sums.progressOf(ROW), { ...ROW, epoch: 2, offset: 8, passed: 5 });
    assert.equal(sums.progressOf({ ...ROW, group: 'h' }), undefined);
  });
});
