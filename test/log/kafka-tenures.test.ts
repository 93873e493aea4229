import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Tenures } from '../../src/adapters/log/kafka/tenures.ts';

const PLACE = { topic: 't', partition: 0 };
const at = (offset: number) => ({ group: 'g', ...PLACE, offset });

function begun() {
  const tenures = new Tenures();
  tenures.begin(PLACE);
  return { tenures, tenure: tenures.find('t', 0)! };
}

describe('tenures', () => {
  it('cover what was handed out in them, and nothing beyond', () => {
    const { tenures, tenure } = begun();
    assert.equal(tenures.covers(at(1)), false);
    for (const offset of [5, 6, 9]) {
      assert.equal(tenure.fetched(offset), true);
      tenure.handed(offset);
    }
    assert.equal(tenure.fetched(6), false);
    assert.equal(tenures.covers(at(10)), true);
    assert.equal(tenures.covers(at(11)), false);
    assert.equal(tenures.covers({ ...at(1), partition: 1 }), false);
  });

  it('count data records before an offset once, holes left out', () => {
    const { tenure } = begun();
    for (const offset of [5, 6, 9, 10]) tenure.handed(offset);
    assert.equal(tenure.countTo(7), 2);
    assert.equal(tenure.countTo(11), 4);
    tenure.committed(6);
    assert.equal(tenure.countTo(11), 3);
    tenure.committed(10);
    assert.equal(tenure.countTo(11), 1);
    tenure.committed(12);
    assert.equal(tenure.countTo(12), 0);
  });

  it('that end with work open are answered, with work in a transaction too; those without are not', () => {
    const { tenures, tenure } = begun();
    tenure.handed(3);
    tenure.committed(4);
    assert.deepEqual(tenures.end([PLACE]), []);
    assert.equal(tenure.isOpen, false);
    tenures.begin(PLACE);
    const second = tenures.find('t', 0)!;
    assert.notEqual(second, tenure);
    assert.equal(tenures.covers(at(4)), false);
    second.handed(4);
    assert.deepEqual(tenures.end([PLACE]), [second]);
    tenures.begin(PLACE);
    const third = tenures.find('t', 0)!;
    third.pins = 1;
    assert.deepEqual(tenures.end([PLACE]), [third]);
  });

  it('are caught up at an end that was met, with everything handed out', () => {
    const { tenure } = begun();
    assert.equal(tenure.isCaughtUp, false);
    tenure.endAt = 0;
    assert.equal(tenure.isCaughtUp, true);
    tenure.willGrow();
    assert.equal(tenure.isCaughtUp, false);
    tenure.fetched(0);
    tenure.endAt = 2;
    assert.equal(tenure.isCaughtUp, false);
    tenure.handed(0);
    assert.equal(tenure.isCaughtUp, true);
    assert.equal(tenure.restTo, undefined);
    tenure.committed(1);
    assert.equal(tenure.restTo, 2);
    tenure.committed(2);
    assert.equal(tenure.restTo, undefined);
  });
});
