import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { parseObject } from '../../src/runtime/decode.ts';
import { scanJson } from '../../src/runtime/json-scan.ts';
import { readBatch } from '../../src/runtime/read-batch.ts';

const NAMES = [
  'impression',
  'interact',
  'start',
  'end',
  'assess',
  'search',
  'share',
  'log',
  'audit',
  'error',
];
const events: readonly JsonObject[] = NAMES.map(
  name =>
    JSON.parse(
      readFileSync(new URL(`../../fixtures/valid/${name}.json`, import.meta.url), 'utf8'),
    ) as JsonObject,
);

const anyJson = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const anyNumber = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, 1718000004000, 1e300));
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"', '\\', '\u0000', 'ä', '{'),
);
/** An event as clients send them, some members of it changed. */
const anyEvent = fc
  .tuple(
    fc.constantFrom(...events),
    fc.dictionary(
      fc.constantFrom(
        'eid',
        'ets',
        'mid',
        'actor',
        'context',
        'object',
        'edata',
        'tags',
        'flags',
        'syncts',
        'x',
      ),
      fc.oneof(anyJson, anyNumber, anyText),
      { maxKeys: 3 },
    ),
  )
  .map(([event, changes]): JsonObject => ({ ...event, ...changes }));
const anyBatch = fc
  .tuple(fc.dictionary(fc.string(), anyJson, { maxKeys: 3 }), fc.array(anyEvent, { maxLength: 5 }))
  .map(([rest, sent]): JsonObject => ({ ...rest, events: sent }));
const anySpace = fc.constantFrom(undefined, undefined, 1, '\t');

/** What the reader finds must be what JSON.parse and the scan find; it may leave the text to them. */
function assertSame(bytes: Uint8Array): boolean {
  const read = readBatch(bytes);
  if (read === undefined) return false;
  const parsed = parseObject(bytes);
  assert.ok(parsed !== undefined, `not JSON: ${Buffer.from(bytes).toString('latin1')}`);
  assert.deepEqual(defined(read.object), parsed);
  assert.deepEqual(read.scan, scanJson(bytes));
  return true;
}

/** The batch, its events without members that are undefined. */
function defined(batch: JsonObject): JsonObject {
  const sent = batch['events'];
  if (!Array.isArray(sent)) return batch;
  const bare = (event: JsonObject) =>
    Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
  return { ...batch, events: sent.map(bare) };
}

describe('readBatch', () => {
  it('reads what clients send as JSON.parse does', () => {
    const bytes = Buffer.from(
      JSON.stringify({ id: 'x', params: { msgid: 'm' }, events: [...events, ...events] }),
    );
    assert.ok(assertSame(bytes));
    const [first, again] = [0, events.length].map(
      at => (readBatch(bytes)!.object['events'] as readonly JsonObject[])[at]!,
    );
    assert.equal(first!['context'], again!['context'], 'what is said twice is one object');
    assert.deepEqual(Object.keys(first!), Object.keys(again!));
  });

  it('never differs from JSON.parse, whatever a batch holds', () => {
    let readCount = 0;
    fc.assert(
      fc.property(anyBatch, anySpace, (batch, space) => {
        if (assertSame(Buffer.from(JSON.stringify(batch, null, space)))) readCount += 1;
      }),
      { numRuns: 500 },
    );
    assert.ok(readCount > 200, `only ${readCount} of 500 batches were read`);
  });

  it('accepts nothing that JSON.parse refuses', () => {
    const damage = fc.tuple(
      fc.nat(),
      fc.nat(),
      fc.constantFrom(...Buffer.from('"\\{}[],:0n9 -.e\u00ff\u0001', 'latin1')),
    );
    fc.assert(
      fc.property(anyBatch, damage, fc.boolean(), (batch, [at, cut, byte], isCut) => {
        const bytes = Buffer.from(JSON.stringify(batch));
        bytes[at % bytes.length] = byte;
        assertSame(isCut ? bytes.subarray(0, cut % bytes.length) : bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves names said twice, names with escapes and elements that are no objects to JSON.parse', () => {
    for (const text of [
      '{"events":[{"eid":"A","eid":"B"}]}',
      '{"events":[],"events":[]}',
      '{"__proto__":1,"events":[]}',
      '{"events":[1]}',
      '{"events":[[]]}',
    ]) {
      assert.equal(readBatch(Buffer.from(text)), undefined, text);
    }
    assertSame(
      Buffer.from('{"events":[{"edata":{"a":{"c":1,"c":2},"2":2,"1":1,"a":null,"ä":3,"__proto__":4}}]}'),
    );
    for (const text of ['{"events":{}}', '{}', ' { "events" : [ { } ] } ', '{"\\u0065vents":[{"a":null}]}']) {
      assertSame(Buffer.from(text));
    }
  });

  it('does not take a longer number, or another text, for one that it kept', () => {
    for (const eid of [
      '12',
      '123',
      '"12"',
      '"123"',
      '{"a":1}',
      '{"a":12}',
      '[1]',
      '[1,2]',
      'null',
      '"1\\"2"',
      '"1',
    ]) {
      assertSame(Buffer.from(`{"events":[{"eid":${eid},"context":${eid}}]}`));
    }
  });
});
