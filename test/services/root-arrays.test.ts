import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { findRootArrays } from '../../src/services/ingest/root-arrays.ts';

const LIMITS = { depthMax: 40, elementsMax: 1_000 };

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function agrees(bytes: Uint8Array): void {
  assert.equal(findRootArrays(bytes, LIMITS) !== null, isJson(bytes), Buffer.from(bytes).toString('latin1'));
}

test('takes what JSON.parse takes and nothing else: every form, and every form cut short', () => {
  const forms = [
    ...[
      '0',
      '-0',
      '10',
      '-1.50',
      '1e5',
      '1E+5',
      '0.0e-9',
      '01',
      '-',
      '+1',
      '.5',
      '1.',
      '1e',
      '1e+',
      '0x1',
      '1_0',
    ],
    ...['true', 'false', 'null', 'True', 'nul', 'truee', 'NaN', 'undefined', 'Infinity'],
    ...[
      '""',
      '"a"',
      '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
      '"\\u00e9\\uD83D\\ude00\\ud800"',
      '"\\x"',
      '"\\u12g4"',
      '"\\u123"',
    ],
    ...['"\t"', '"\n"', '"\u007f"', '"é😀\u2028"', "'a'", '"a', '"\\'],
    ...['[]', '[ ]', '[1]', '[1,2]', '[1,]', '[,1]', '[1 2]', '[', ']', '[]]', '[[]', '[}', '[1}'],
    ...[
      '{}',
      '{ }',
      '{"a":1}',
      '{"a":1,"b":[{}]}',
      '{"a"}',
      '{"a":}',
      '{a:1}',
      '{"a":1,}',
      '{,}',
      '{"a" 1}',
      '{]',
    ],
    ...[
      '{1:2}',
      '{"a":1 "b":2}',
      '{"a":1]',
      '{[]:1}',
      '{"\\u0061":1}',
      '{"a":1}{',
      '1 2',
      ' \t\r\n1\n',
      '',
      ' ',
    ],
    ...['\u00a01', '\f1', '\v1', '/**/1', '{"a":[1,2,{"b":null}],"c":"\\\\"}', '{"__proto__":[1],"":[]}'],
  ];
  for (const form of forms) {
    for (const text of [form, `[${form}]`, `{"k":${form}}`, ` { "k" : [ ${form} , ${form} ] } `]) {
      const bytes = Buffer.from(text);
      for (let end = 0; end <= bytes.length; end++) agrees(bytes.subarray(0, end));
    }
  }
});

const SPACE = fc.constantFrom('', ' ', '\n', '\r\n\t');
const JSON_TEXT = fc
  .tuple(fc.json({ maxDepth: 5 }), SPACE, SPACE)
  .map(([json, before, after]) => before + json.replaceAll(',', `${after},${before}`) + after);

test('any bytes, and any JSON with a few bytes of it changed: the verdict is that of JSON.parse', () => {
  const change = fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('"\\{}[],:0-.eEu \n\x01tfn/'), 0x7f));
  fc.assert(
    fc.property(JSON_TEXT, fc.array(change, { maxLength: 3 }), (text, changes) => {
      const bytes = Buffer.from(text);
      for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
      // A change may cut a character of several bytes: ingest has refused such bytes before.
      if (isUtf8(bytes)) agrees(bytes);
    }),
    { numRuns: 5_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), bytes => {
      if (isUtf8(bytes)) agrees(bytes);
    }),
  );
});

test('the arrays of the root, each with its bytes and their number', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), SPACE, (root, space) => {
      const text = JSON.stringify(root, null, space.replace(/\r/g, ''));
      const bytes = Buffer.from(text);
      const found = findRootArrays(bytes, LIMITS)!;
      const inner = found.map(({ from, to }) => JSON.parse(`[${bytes.toString('utf8', from, to)}]`));
      const wanted = Object.values(JSON.parse(text)).filter(value => Array.isArray(value));
      assert.deepEqual(inner, wanted);
      assert.deepEqual(
        found.map(({ count }) => count),
        wanted.map(({ length }) => length),
      );
    }),
  );
});

test('limits are exact: depth of the whole text, elements of arrays in the root alone', () => {
  const read = (text: string) =>
    findRootArrays(Buffer.from(text), { depthMax: 3, elementsMax: 2 })?.map(({ count }) => count);
  assert.deepEqual(read('{"a":[1,2],"b":[[]],"c":[]}'), [2, 1, 0]);
  assert.equal(read('{"a":[1,2,3]}'), undefined);
  assert.deepEqual(read('{"a":{"b":[1,2,3]},"c":[[1,2,3],{"x":1,"y":2,"z":3}]}'), [2]);
  assert.equal(read('{"a":[[[]]]}'), undefined);
  assert.equal(read('{"a":{"b":{"c":{}}}}'), undefined);
  assert.deepEqual(read('[[1,2],{},3,4]'), [2]);
  assert.equal(read('[[1,2,3]]'), undefined);
});
