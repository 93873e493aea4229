import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/core/event.ts';
import { isJsonLongerThan } from '../../src/jobs/json-size.ts';
import { jsonOf } from '../../src/runtime/encode.ts';

const byteLength = (text: string): number => Buffer.byteLength(text, 'utf8');

test('the limit is met exactly, whatever the text, as the encoder writes it', () => {
  const event = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }));
  fc.assert(
    fc.property(event, sent => {
      const parsed = JSON.parse(JSON.stringify(sent)) as { [key: string]: Json };
      const sizeBytes = byteLength(jsonOf(parsed));
      assert.equal(isJsonLongerThan(parsed, sizeBytes, byteLength), false);
      assert.equal(isJsonLongerThan(parsed, sizeBytes - 1, byteLength), true);
    }),
    { numRuns: 300 },
  );
});

test('nesting of any depth is measured', () => {
  let value: Json = [];
  for (let depth = 1; depth < 100_000; depth += 1) value = [value];
  assert.equal(isJsonLongerThan(value, 200_000, byteLength), false);
  assert.equal(isJsonLongerThan(value, 199_999, byteLength), true);
});

test('an event far below the limit is decided without making a text', () => {
  let calls = 0;
  const counting = (text: string): number => {
    calls += 1;
    return byteLength(text);
  };
  assert.equal(
    isJsonLongerThan({ eid: 'START', edata: { type: 'app', n: [1, null, true] } }, 1000, counting),
    false,
  );
  assert.equal(calls, 0);
});
