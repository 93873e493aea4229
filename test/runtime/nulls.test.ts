import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isObject, type Json, type JsonObject } from '../../src/core/event.ts';
import { dropNulls } from '../../src/core/nulls.ts';

/** The rule by itself: null members go at any depth, nulls in arrays stay. */
function stripped(value: Json): Json {
  if (Array.isArray(value)) return value.map(stripped);
  if (!isObject(value)) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([key, member]) => [key, stripped(member!)]));
}

const defined = (event: JsonObject) =>
  Object.fromEntries(Object.entries(event).filter(([, member]) => member !== undefined));

test('drops null members at any depth; what holds none stays the object that it was', () => {
  const anyEvent = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })) as fc.Arbitrary<JsonObject>;
  fc.assert(
    fc.property(anyEvent, sent => {
      const read = JSON.parse(JSON.stringify(sent)) as JsonObject;
      const before = JSON.stringify(read);
      const event = dropNulls(read);
      assert.deepEqual(defined(event), stripped(read));
      assert.equal(JSON.stringify(read), before, 'what was read is left as it is');
      assert.equal(event === read, JSON.stringify(stripped(read)) === before);
      for (const [key, member] of Object.entries(read)) {
        const isBare = JSON.stringify(stripped(member ?? null)) === JSON.stringify(member);
        if (member !== null && isBare) assert.equal(event[key], member);
      }
    }),
    { numRuns: 1000 },
  );
});

test('takes a member named __proto__ for a member, and a time that grows with the size alone', () => {
  const read = JSON.parse('{"__proto__":{"a":null,"b":1},"c":{"__proto__":null,"d":1}}') as JsonObject;
  assert.equal(JSON.stringify(dropNulls(read)), '{"__proto__":{"b":1},"c":{"d":1}}');
  let nested: JsonObject = { a: null };
  for (let depth = 0; depth < 500; depth++) nested = { a: nested, b: null };
  let event: Json | undefined = dropNulls(nested);
  for (; isObject(event) && event['a'] !== undefined; event = event['a']) assert.equal(event['b'], undefined);
  assert.deepEqual(event, {});
});
