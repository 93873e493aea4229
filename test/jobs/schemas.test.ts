import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadSchemas } from '../../src/adapters/schemas/ajv-schemas.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Json, JsonObject } from '../../src/core/event.ts';
import type { SchemaRegistry, Violation } from '../../src/core/job.ts';
import { fixture, verdictOf } from './run-job.ts';

const shipped = await loadSchemas(fileURLToPath(new URL('../../schemas', import.meta.url)));
const end = fixture('valid/end.json');

/** Loads schemas written for the test; `routed` needs its three whatever is tested. */
async function load(events: Readonly<Record<string, Json | string>>): Promise<SchemaRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-schemas-'));
  try {
    for (const part of ['telemetry/3.0', 'routed']) mkdirSync(join(folder, part), { recursive: true });
    for (const name of ['envelope', 'search', 'me_workflow_summary']) {
      writeFileSync(join(folder, 'routed', `${name}.json`), '{}');
    }
    for (const [name, schema] of Object.entries(events)) {
      const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
      writeFileSync(join(folder, 'telemetry/3.0', name), text);
    }
    return await loadSchemas(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const pin = (eid: string, rules: JsonObject = {}): JsonObject => ({
  properties: { eid: { enum: [eid] } },
  ...rules,
});

test('the seventeen event types have schemas, nothing else has', () => {
  const eids = (
    'START END IMPRESSION INTERACT ASSESS RESPONSE INTERRUPT FEEDBACK SHARE AUDIT ERROR LOG SEARCH EXDATA ' +
    'HEARTBEAT SUMMARY METRICS'
  ).split(' ');
  for (const eid of eids) assert.ok(verdictOf(shipped, { eid }), eid);
  const others =
    'ENVELOPE CONTEXT OBJECT QUESTION TARGET PLUGIN PARENT DSPEC UASPEC SHARE_ITEM EXPORT __proto__ constructor';
  for (const eid of others.split(' ')) assert.equal(verdictOf(shipped, { eid }), undefined, eid);
});

test('a schema is found in any case and asks for upper case', () => {
  assert.deepEqual(verdictOf(shipped, { ...end, eid: 'eNd' }), {
    pointer: '/eid',
    message: 'must be one of END',
  });
});

test('inherited names are no fields', async () => {
  const names = ['constructor', 'toString', '__proto__', 'hasOwnProperty'];
  for (const name of names) {
    const registry = await load({ 'x.json': pin('X', { required: [name] }) });
    assert.deepEqual(verdictOf(registry, { eid: 'X' }), { pointer: `/${name}`, message: 'is required' });
    const own = JSON.parse(`{"eid":"X","${name}":1}`) as JsonObject;
    assert.equal(verdictOf(registry, own), null);
  }
  const poisoned = JSON.parse(`{"eid":"END","__proto__":${JSON.stringify(end)}}`) as JsonObject;
  assert.equal(verdictOf(shipped, poisoned)?.pointer, '/ets');
  const edata = JSON.parse('{"type":"app","__proto__":{"mode":1}}') as JsonObject;
  assert.equal(verdictOf(shipped, { ...end, edata })?.pointer, '/edata/__proto__');
});

test('a violation says in plain words what is asked for', () => {
  const cases: readonly (readonly [JsonObject, Violation])[] = [
    [{ ets: '1' }, { pointer: '/ets', message: 'must be a number, is a string' }],
    [JSON.parse('{"ets":1e999}'), { pointer: '/ets', message: 'must be a number, is an infinite number' }],
    [{ edata: [] }, { pointer: '/edata', message: 'must be an object, is an array' }],
    [{ tags: [null] }, { pointer: '/tags/0', message: 'must be a string, is null' }],
    [{ mid: '' }, { pointer: '/mid', message: 'must have at least 1 character' }],
    [{ ver: '2' }, { pointer: '/ver', message: 'must be one of 3.0, 3.1' }],
    [{ actor: {} }, { pointer: '/actor/id', message: 'is required' }],
    [
      { edata: { type: 'x', 'a/~': 1 } },
      { pointer: '/edata/a~1~0', message: 'is not a field that its schema knows' },
    ],
    [
      { edata: { type: 'x', duration: {} } },
      { pointer: '/edata/duration', message: 'must be a number, is an object' },
    ],
  ];
  for (const [change, violation] of cases)
    assert.deepEqual(verdictOf(shipped, { ...end, ...change }), violation);
  const edata = { type: 'x', dspec: { mem: -2 } };
  assert.equal(verdictOf(shipped, { ...fixture('valid/start.json'), edata })?.message, 'must be >= -1');
});

test('a long name of an unknown field is not repeated', () => {
  const edata = { type: 'x', ['n'.repeat(10_000)]: 1 };
  assert.deepEqual(verdictOf(shipped, { ...end, edata }), {
    pointer: '/edata',
    message: 'has a field that its schema does not know',
  });
});

test('references are found by file name, whatever comes before it, and by pointer', async () => {
  const registry = await load({
    'x.json': {
      id: 'http://example.org/x',
      allOf: [
        { $ref: 'http://localhost:7070/schemas/3.0/part.json' },
        {
          properties: {
            eid: { id: 'http://example.org/eid', enum: ['X'] },
            b: { $ref: 'part.json#/definitions/b~1c' },
          },
        },
      ],
    },
    'part.json': {
      id: 'http://example.org/x',
      definitions: { 'b/c': { type: 'number' }, id: { type: 'string' } },
      properties: { id: { $ref: '#/definitions/id' }, $ref: { type: 'number' } },
      required: ['id'],
    },
  });
  assert.equal(verdictOf(registry, { eid: 'PART' }), undefined);
  assert.equal(verdictOf(registry, { eid: 'X', id: 'a', b: 1 }), null);
  assert.equal(verdictOf(registry, { eid: 'X' })?.pointer, '/id');
  assert.equal(verdictOf(registry, { eid: 'X', id: 1 })?.pointer, '/id');
  assert.equal(verdictOf(registry, { eid: 'X', id: 'a', b: 'x' })?.pointer, '/b');
  assert.equal(verdictOf(registry, { eid: 'X', id: 'a', $ref: 'x' })?.pointer, '/$ref');
});

test('schemas that cannot be used are refused by name', async () => {
  const wide = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, { $ref: 'part.json' }]));
  const part = { properties: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`q${i}`, {}])) };
  const cases: readonly Readonly<Record<string, Json>>[] = [
    { 'x.json': '{"properties":' },
    { 'x.json': [] },
    { 'x.json': pin('X', { allOf: [{ $ref: 'gone.json' }] }) },
    { 'x.json': pin('X', { allOf: [{ $ref: '#/definitions/gone' }] }) },
    { 'x.json': pin('X', { properties: { eid: { enum: ['X'] }, a: { $ref: 'x.json' } } }) },
    { 'x.json': pin('X', { properties: { eid: { enum: ['X'] }, ...wide } }), 'part.json': part },
    { 'x.json': pin('X', { allOf: [null] }) },
    { 'x.json': pin('X', { required: 'eid' }) },
  ];
  for (const schemas of cases) {
    await assert.rejects(load(schemas), error => {
      assert.ok(error instanceof MillraceError, String(error));
      assert.equal(error.code, 'ERR_SCHEMA_INVALID');
      assert.match(error.why, /x\.json/);
      return true;
    });
  }
  await assert.rejects(loadSchemas('/nowhere'), { code: 'ERR_FILE_UNREADABLE' });
});

test('a member that is undefined counts as absent, whatever a schema asks of all members', async () => {
  const rules: Readonly<Record<string, JsonObject>> = {
    closed: { additionalProperties: false },
    'closed in a part': { allOf: [{ additionalProperties: false, properties: { eid: {} } }] },
    patterns: { patternProperties: { flags: { type: 'string' } } },
    most: { maxProperties: 1 },
    'one value': { anyOf: [{ enum: [{ eid: 'X' }] }] },
  };
  for (const [name, rule] of Object.entries(rules)) {
    const registry = await load({ 'x.json': pin('X', rule) });
    assert.equal(verdictOf(registry, { eid: 'X', flags: undefined, edata: undefined }), null, name);
  }
  const least = await load({ 'x.json': pin('X', { minProperties: 2 }) });
  assert.notEqual(verdictOf(least, { eid: 'X', flags: undefined }), null);
});

test('a pattern that does not come to an end fails the event that it is held against, and no other', async () => {
  const edata = {
    properties: { id: { pattern: '^(a+)+$' } },
    patternProperties: { '^(b+)+$': { type: 'number' } },
  };
  const registry = await load({ 'x.json': pin('X', { properties: { eid: { enum: ['X'] }, edata } }) });
  const long = (letter: string) => `${letter.repeat(60)}!`;
  const event = (data: JsonObject): JsonObject => ({ eid: 'X', edata: data });
  const events = [
    event({ id: 'aaa' }),
    event({ id: long('a') }),
    event({ id: '!' }),
    event({ bb: 1, [long('b')]: 1 }),
    event({ id: 'a', bb: 1 }),
  ];
  assert.deepEqual(
    registry.validateEvents(events).map(violation => violation && [violation.pointer, violation.message]),
    [
      null,
      ['/edata/id', 'takes more than 250 ms to be held against the pattern ^(a+)+$'],
      ['/edata/id', 'must match pattern "^(a+)+$"'],
      [`/edata/${long('b')}`, 'takes more than 250 ms to be held against the pattern ^(b+)+$'],
      null,
    ],
  );
});
