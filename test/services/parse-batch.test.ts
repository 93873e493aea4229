import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MillraceError } from '../../src/core/errors.ts';
import { parseBatch } from '../../src/services/ingest/parse-batch.ts';

const LIMITS = { depthMax: 40, eventsMax: 3 };

/** The code of the refusal, or the number of events. */
function read(body: string | Uint8Array, limits = LIMITS): string | number {
  const result = parseBatch(Buffer.from(body), limits);
  return result instanceof MillraceError ? result.code : result.eventCount;
}

test('reads any object with an events array', () => {
  assert.equal(read('{"events":[]}'), 0);
  assert.equal(read(' {"events":[1,null,{}]} '), 3);
  assert.equal(read('\ufeff{"events":[]}'), 0, 'a byte order mark is skipped');
  assert.equal(read('{"events":["\\ud800"]}'), 1, 'a lone surrogate is JSON');
  assert.equal(read('{"events":[1e400],"__proto__":{"a":1}}'), 1);
});

test('refuses what is not such an object', () => {
  for (const body of [
    '',
    ' ',
    '{',
    '{"events":[}',
    '{"events":[]}x',
    '{"events":["\n"]}',
    '{"events":[NaN]}',
    '\ufeff',
  ]) {
    assert.equal(read(body), 'ERR_BODY_UNREADABLE', JSON.stringify(body));
  }
  assert.equal(read(Buffer.from('{"events":["\xff"]}', 'latin1')), 'ERR_BODY_UNREADABLE');
  assert.equal(read(Buffer.from([0xed, 0xa0, 0x80])), 'ERR_BODY_UNREADABLE', 'an encoded surrogate');
  for (const body of [
    'null',
    '1',
    '"events"',
    '[]',
    '[{"events":[]}]',
    '{}',
    '{"events":{}}',
    '{"events":null}',
  ]) {
    assert.equal(read(body), 'ERR_BODY_NO_EVENTS', body);
  }
});

test('a million open brackets are refused in less than 50 ms of CPU', () => {
  for (const bracket of ['[', '{"a":']) {
    const body = Buffer.from(`{"events":${bracket.repeat(1_000_000)}`);
    const started = process.threadCpuUsage();
    assert.equal(read(body), 'ERR_BODY_TOO_DEEP');
    const { user, system } = process.threadCpuUsage(started);
    assert.ok(user + system < 50_000, `${user + system} us`);
  }
});

test('depth is exact, brackets in texts do not count', () => {
  const nested = (depth: number) => `{"events":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
  assert.equal(read(nested(40)), 1);
  assert.equal(read(nested(41)), 'ERR_BODY_TOO_DEEP');
  assert.equal(read(`{"events":["${'['.repeat(100)}\\"${'{'.repeat(100)}"]}`), 1);
});

test('arrays of the batch are bounded, its objects and nested arrays are not', () => {
  assert.equal(read('{"events":[1,2,3,4]}'), 'ERR_BODY_TOO_MANY');
  assert.equal(read('{"events":[1,2,3],"params":{"a":1,"b":2,"c":3,"d":4}}'), 3);
  assert.equal(read('{"events":[[1,2,3,4,5]],"a":1,"b":2,"c":3,"d":4}'), 1);
  assert.equal(read('{"params":{"a":1},"events":[1,2,3,4]}'), 'ERR_BODY_TOO_MANY');
});

test('any bytes get a verdict, and what is refused for depth or count is so for a reason', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map(text => Buffer.from(text)),
      ),
      bytes => {
        assert.ok(['string', 'number'].includes(typeof read(bytes)));
      },
    ),
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.integer({ min: 1, max: 7 }), (json, depthMax) => {
      const body = `{"events":${json}}`;
      const isDeep = read(body, { depthMax, eventsMax: 1_000_000 }) === 'ERR_BODY_TOO_DEEP';
      assert.equal(isDeep, depthOf(JSON.parse(body)) > depthMax);
    }),
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
