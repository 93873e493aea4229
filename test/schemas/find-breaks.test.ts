import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Check, createCompiler, loadSchemas } from '../../src/adapters/schemas/ajv-schemas.ts';
import { findBreaks } from '../../src/adapters/schemas/find-breaks.ts';
import { combineSchemas, readShipped } from '../../src/adapters/schemas/schema-set.ts';
import { SCHEMAS_DIRECTORY } from '../../src/config/environment.ts';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { aPair, aSchema, aValue } from './arbitrary-schemas.ts';

const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
const RUNS = Number(process.env['MILLRACE_TEST_RUNS'] ?? 1000);

const compile = createCompiler();

/** The compiled schema, or undefined where an edit made it none. */
function compiled(schema: JsonObject): Check | undefined {
  try {
    return compile('test', { properties: { v: schema } });
  } catch {
    return undefined;
  }
}

describe(`what a newer schema refuses (seed ${SEED}, repeat with MILLRACE_TEST_SEED=${SEED})`, () => {
  it('is nothing that the older accepts, where no break is found', t => {
    const seen = { compatible: 0, accepted: 0 };
    fc.assert(
      fc.property(aPair, fc.array(aValue, { minLength: 40, maxLength: 80 }), ([older, newer], values) => {
        const [before, after] = [compiled(older), compiled(newer)];
        if (before === undefined || after === undefined) return;
        if (findBreaks(older, newer).length > 0) return;
        seen.compatible += 1;
        for (const value of values) {
          if (before({ v: value }) !== null) continue;
          seen.accepted += 1;
          assert.equal(after({ v: value }), null, JSON.stringify(value));
        }
      }),
      { seed: SEED, numRuns: RUNS },
    );
    t.diagnostic(
      `${seen.compatible} of ${RUNS} pairs were compatible; ${seen.accepted} values were accepted`,
    );
    assert.ok(seen.compatible > RUNS / 20, 'the comparison proves something');
    assert.ok(seen.accepted > RUNS, 'the older schemas accept something');
  });

  it('is nothing where nothing changed', () => {
    fc.assert(
      fc.property(aSchema, schema => {
        // A rule that is beside an alternative with parts of its own is taken apart: it must still equal itself.
        if (compiled(schema) === undefined) return;
        assert.deepEqual(findBreaks(schema, schema), []);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

const object = (properties: JsonObject, rules: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...rules,
});

/** Older, newer, the pointers of what breaks. */
const CHANGES: readonly (readonly [name: string, older: JsonObject, newer: JsonObject, ...string[]])[] = [
  [
    'a new optional field of a closed object',
    object({ a: {} }, { additionalProperties: false }),
    object({ a: {}, b: { type: 'string' } }, { additionalProperties: false }),
  ],
  [
    'a new optional field of an open object',
    object({ a: {} }),
    object({ a: {}, b: { type: 'string' } }),
    '/b',
  ],
  [
    'nothing, with two sets of alternatives',
    { allOf: [{ oneOf: [{}] }, { anyOf: [{ multipleOf: 0.5 }, { required: ['a'] }] }] },
    { allOf: [{ oneOf: [{}] }, { anyOf: [{ multipleOf: 0.5 }, { required: ['a'] }] }] },
  ],
  ['a newly required field', object({ a: {} }), object({ a: {} }, { required: ['a'] }), '/a'],
  ['a field no longer required', object({}, { required: ['a'] }), object({})],
  ['a narrower type', object({ a: { type: ['string', 'number'] } }), object({ a: { type: 'string' } }), '/a'],
  [
    'integer where there was number',
    object({ a: { type: 'number' } }),
    object({ a: { type: 'integer' } }),
    '/a',
  ],
  ['number where there was integer', object({ a: { type: 'integer' } }), object({ a: { type: 'number' } })],
  ['a wider enum', object({ a: { enum: ['x'] } }), object({ a: { enum: ['x', 'y'] } })],
  ['a narrower enum', object({ a: { enum: ['x', 'y'] } }), object({ a: { enum: ['x'] } }), '/a'],
  ['a new enum', object({ a: { type: 'string' } }), object({ a: { type: 'string', enum: ['x'] } }), '/a'],
  ['an enum gone', object({ a: { enum: ['x'] } }), object({ a: { type: 'string' } })],
  ['a higher minimum', object({ a: { minimum: 0 } }), object({ a: { minimum: 1 } }), '/a'],
  [
    'an exclusive minimum',
    object({ a: { minimum: 0 } }),
    object({ a: { minimum: 0, exclusiveMinimum: true } }),
    '/a',
  ],
  ['a lower minimum', object({ a: { minimum: 0 } }), object({ a: { minimum: -1 } })],
  ['closing', object({ a: {} }), object({ a: {} }, { additionalProperties: false }), ''],
  ['opening', object({ a: {} }, { additionalProperties: false }), object({ a: {} })],
  [
    'a field taken out of a closed object',
    object({ a: {}, b: {} }, { additionalProperties: false }),
    object({ a: {} }, { additionalProperties: false }),
    '/b',
  ],
  [
    'a rule in an element',
    object({ a: { items: object({}) } }),
    object({ a: { items: object({}, { required: ['b'] }) } }),
    '/a/0/b',
    '/a/0',
  ],
  [
    'parts of an allOf in another order',
    { allOf: [object({ a: { type: 'string' } }), { required: ['a'] }] },
    object({ a: { type: 'string' } }, { required: ['a'] }),
  ],
  [
    'one more alternative',
    { anyOf: [{ type: 'string' }] },
    { anyOf: [{ type: 'string' }, { type: 'number' }] },
  ],
  [
    'one alternative less',
    { anyOf: [{ type: 'string' }, { type: 'number' }] },
    { anyOf: [{ type: 'string' }] },
    '',
  ],
  [
    'alternatives for a list of types',
    { type: ['string', 'number'] },
    { anyOf: [{ type: 'string' }, { type: 'number' }] },
  ],
  ['a name with a slash', object({}), object({}, { required: ['a/b'] }), '/a~1b'],
];

describe('a change is judged by what it refuses', () => {
  for (const [name, older, newer, ...pointers] of CHANGES) {
    it(name, () => {
      const found = [...new Set(findBreaks(older, newer).map(({ pointer }) => pointer))];
      if (name === 'a rule in an element') assert.ok(found.includes('/a/0/b'), String(found));
      else assert.deepEqual(found, pointers);
    });
  }

  it('takes every shipped schema for compatible with itself and says what the envelope lacks', async () => {
    const set = combineSchemas(await readShipped(SCHEMAS_DIRECTORY), []);
    for (const [eid, schema] of set.events) assert.deepEqual(findBreaks(schema, schema), [], eid);
    const envelope = (await readShipped(SCHEMAS_DIRECTORY)).telemetry.get('envelope')!;
    for (const [eid, schema] of set.events) assert.deepEqual(findBreaks(schema, envelope), [], eid);
    assert.equal((await loadSchemas(SCHEMAS_DIRECTORY)).digest, set.digest);
  });

  it('gives up, and says so, on alternatives that multiply', () => {
    const many = (n: number): JsonObject => ({
      allOf: Array.from(
        { length: n },
        (_, i): Json => ({ anyOf: [{ required: [`a${i}`] }, { required: [`b${i}`] }] }),
      ),
    });
    const startMs = performance.now();
    assert.ok(findBreaks(many(30), { required: ['c'] }).length > 0);
    assert.ok(performance.now() - startMs < 20_000, 'within its bound');
  });
});
