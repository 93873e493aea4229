import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { dropNulls } from '../../src/core/nulls.ts';
import { encodeEvent } from '../../src/runtime/encode.ts';
import { scanJson } from '../../src/runtime/json-scan.ts';

const anyJson = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
const anyObject = fc.dictionary(fc.string(), anyJson) as fc.Arbitrary<JsonObject>;
const anySpace = fc.constantFrom(undefined, 1, '\t');

function depthOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(member => depthOf(member as Json)));
}

function holdsNull(value: Json): boolean {
  if (value === null) return true;
  return typeof value === 'object' && Object.values(value).some(member => holdsNull(member as Json));
}

describe('scanJson', () => {
  it('finds the events of any batch, their members, its depth and its nulls', () => {
    fc.assert(
      fc.property(fc.array(anyObject), anyObject, anyObject, anySpace, (events, before, after, space) => {
        const batch = { ...before, x: [[{ events: [{}] }]], events, ...without(after, 'events') };
        const bytes = Buffer.from(JSON.stringify(batch, null, space));
        const { elements, depthMax, hasNull, withNull } = scanJson(bytes);
        const found = events.map((_, i) =>
          JSON.parse(bytes.toString('utf8', elements[3 * i], elements[3 * i + 1])),
        );
        const sent = JSON.parse(bytes.toString('utf8')) as JsonObject;
        assert.deepEqual(found, sent['events']);
        assert.deepEqual(
          events.map((_, i) => elements[3 * i + 2]),
          events.map(event => Object.keys(event).length),
        );
        assert.equal(elements.length, 3 * events.length);
        assert.equal(depthMax, depthOf(sent));
        assert.equal(hasNull, holdsNull(sent));
        assert.deepEqual(
          events.map((_, i) => withNull.has(i)),
          events.map(holdsNull),
        );
      }),
    );
  });

  it('goes by the last of several members named events, as JSON.parse does', () => {
    const bytes = Buffer.from('{"events":[{"a":null},{"b":2}],"events":[{"c":3}]}');
    const { elements, withNull } = scanJson(bytes);
    assert.equal(withNull.size, 0);
    assert.equal(bytes.toString('utf8', elements[0], elements[1]), '{"c":3}');
    assert.equal(elements.length, 3);
  });

  it('counts members of equal names each', () => {
    const { elements } = scanJson(Buffer.from('{"events":[{"a":1,"a":2}]}'));
    assert.equal(elements[2], 2);
  });
});

function without(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}

describe('encodeEvent with the text it was read from', () => {
  const parse = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonObject;
  const textOf = (...event: Parameters<typeof encodeEvent>) => {
    const { head, from, to, tail } = encodeEvent(...event);
    return Buffer.concat([head.subarray(from, to), Buffer.from(tail as string)]).toString('utf8');
  };
  /** With other text around it, as an event of a batch has. */
  const originOf = (bytes: Buffer, event = parse(bytes)) => {
    const around = Buffer.concat([Buffer.from('{}'), bytes, Buffer.from('}')]);
    return { event, bytes: around, from: 2, to: 2 + bytes.length };
  };

  it('says the same as without it, whatever was added, changed or removed, nulls too', () => {
    const addition = fc.dictionary(fc.constantFrom('syncts', 'flags', 'a', 'b', ''), anyJson);
    fc.assert(
      fc.property(anyObject, addition, fc.string(), anySpace, (sent, added, removed, space) => {
        const bytes = Buffer.from(JSON.stringify(sent, null, space).replaceAll('\n', ' '));
        const read = parse(bytes);
        const changed = without({ ...dropNulls(read), ...(added as JsonObject) }, removed);
        const text = textOf(changed, originOf(bytes, read));
        assert.deepEqual(JSON.parse(text), JSON.parse(textOf(changed)));
      }),
    );
  });

  it('adds to each event its own, where others gained nearly the same', () => {
    const flags = { a: true };
    const one = parse(Buffer.from('{"b":1}'));
    const bytes = ['{"b":1}', '{"b":1 }', '{}', '{ }'].map(text => Buffer.from(text));
    for (const syncts of [5, 6, '5', 5]) {
      const texts = bytes.map(text => {
        const event = parse(text);
        return textOf({ ...event, syncts, flags }, originOf(text, event));
      });
      const tail = `"syncts":${JSON.stringify(syncts)},"flags":{"a":true}}`;
      assert.deepEqual(texts, [`{"b":1,${tail}`, `{"b":1 ,${tail}`, `{${tail}`, `{ ${tail}`]);
    }
    assert.equal(
      textOf({ ...one, flags: { a: false } }, originOf(bytes[0]!, one)),
      '{"b":1,"flags":{"a":false}}',
    );
  });

  it('keeps what the client wrote to the digit', () => {
    const bytes = Buffer.from('{ "ets":1.586431492513E12, "n":12345678901234567890 }');
    const event = parse(bytes);
    assert.equal(
      textOf({ ...event, syncts: 5 }, originOf(bytes, event)),
      '{ "ets":1.586431492513E12, "n":12345678901234567890 ,"syncts":5}',
    );
  });

  it('replaces what was changed where it stands, and keeps the rest to the digit', () => {
    const bytes = Buffer.from('{ "n":1e2, "edata" : {"a":1} ,"x":[1,"}"],"last":"t" }');
    const event = parse(bytes);
    const origin = originOf(bytes, event);
    assert.equal(
      textOf({ ...event, edata: { b: 'ä' }, flags: 1 }, origin),
      '{"n":1e2,"edata":{"b":"ä"},"x":[1,"}"],"last":"t" ,"flags":1}',
    );
    assert.equal(
      textOf({ ...event, n: undefined, last: null, x: 'y' }, origin),
      '{"edata" : {"a":1} ,"x":"y"}',
    );
    const one = parse(Buffer.from('{"a":1}'));
    assert.equal(textOf({ a: null, b: 2 }, originOf(Buffer.from('{"a":1}'), one)), '{"b":2}');
    assert.equal(textOf({ a: null }, originOf(Buffer.from('{"a":1}'), one)), '{}');
  });

  it('makes the text anew where a name has an escape', () => {
    const bytes = Buffer.from('{"\\u0061":1,"b":1.0}');
    const event = parse(bytes);
    assert.equal(textOf({ ...event, a: 2 }, originOf(bytes, event)), '{"a":2,"b":1}');
  });

  it('makes the text anew where members have equal names', () => {
    const bytes = Buffer.from('{"a":1,"a":2}');
    const event = parse(bytes);
    assert.equal(textOf(event, { ...originOf(bytes, event), memberCount: 2 }), '{"a":2}');
  });
});
