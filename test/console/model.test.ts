import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toCsv } from '../../src/services/console/model/csv.ts';
import { differences } from '../../src/services/console/model/difference.ts';
import { commonPointer, explain, fieldOf } from '../../src/services/console/model/explain.ts';
import { findingsOf } from '../../src/services/console/model/findings.ts';
import {
  formatAgo,
  formatBytes,
  formatRate,
  formatShort,
  formatSpan,
  formatUtc,
} from '../../src/services/console/model/format.ts';
import { jsonLines, type Mark, valueAtPointer } from '../../src/services/console/model/json-lines.ts';
import type { Json, PulseDocument } from '../../src/services/query/contract.ts';

const jsonValue = fc.jsonValue({ maxDepth: 4 }).map(value => value as Json);

test('CSV: a formula becomes a text, quotes and line ends stay in their cell', () => {
  const cell = (value: Json) => toCsv(['a'], [{ a: value }]).slice('a\r\n'.length);
  for (const start of ['=', '+', '-', '@', '\t', '\r', '\n']) {
    assert.equal(cell(`${start}1+1`), `"'${start}1+1"\r\n`, JSON.stringify(start));
  }
  assert.equal(cell('plain'), 'plain\r\n');
  assert.equal(cell('a"b,c'), '"a""b,c"\r\n');
  assert.equal(cell(-5), '-5\r\n', 'a number is no formula');
  assert.equal(cell(null), '\r\n');
  assert.equal(cell({ a: [1] }), '"{""a"":[1]}"\r\n');
  assert.equal(toCsv(['=a'], []), `"'=a"\r\n`, 'names of columns come from whoever wrote the SQL');
});

test('CSV: every text comes back, apart from the apostrophe before a formula', () => {
  const parse = (csv: string) => csv.replace(/^a\r\n/, '').replace(/\r\n$/, '');
  fc.assert(
    fc.property(fc.string(), text => {
      const cell = parse(toCsv(['a'], [{ a: text }]));
      const inner = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
      assert.ok(inner === text || inner === `'${text}`);
      assert.ok(!/^[=+\-@\t\r\n]/.test(inner));
    }),
  );
});

test('JSON lines read as the same JSON, whatever the value', () => {
  fc.assert(
    fc.property(jsonValue, value => {
      const lines = jsonLines(value, new Map());
      const text = lines.map(
        ({ key, text: rest }) => `${key === null ? '' : `${JSON.stringify(key)}:`}${rest}`,
      );
      assert.deepEqual(JSON.parse(text.join('\n')), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a field that is missing gets a line in the deepest object that is there', () => {
  const marks = new Map<string, Mark>([['/context/pdata/ver', 'missing']]);
  const inPdata = jsonLines({ context: { pdata: { id: 'a' } } }, marks).find(
    ({ mark }) => mark === 'missing',
  );
  assert.deepEqual([inPdata?.key, inPdata?.depth], ['ver', 3]);
  const inContext = jsonLines({ context: {} }, marks).find(({ mark }) => mark === 'missing');
  assert.deepEqual([inContext?.key, inContext?.depth], ['pdata.ver', 2]);
  const inEvent = jsonLines({}, marks).find(({ mark }) => mark === 'missing');
  assert.deepEqual([inEvent?.key, inEvent?.depth], ['context.pdata.ver', 1]);
});

test('long texts and long values are cut, and say so', () => {
  const [, line] = jsonLines({ a: 'x'.repeat(5000) }, new Map());
  assert.match(line!.text, /… \(5002 characters\)$/);
  const lines = jsonLines(
    Array.from({ length: 60_000 }, () => 1),
    new Map(),
  );
  assert.equal(lines.length, 50_001);
  assert.match(lines.at(-1)!.text, /not shown/);
});

test('differences name what was added and what was changed, and nothing else', () => {
  const sent = { eid: 'A', context: { did: 'd' }, list: [1, { a: 1 }], 'a/b': 1 };
  const kept = {
    ...sent,
    context: { did: 'e', channel: 'c' },
    flags: { x: true },
    list: [1, { a: 2 }],
    'a/b': 1,
  };
  assert.deepEqual(Object.fromEntries(differences(sent, kept)), {
    '/context/did': 'changed',
    '/context/channel': 'added',
    '/flags': 'added',
    '/list': 'changed',
  });
  assert.deepEqual([...differences({}, JSON.parse('{"toString":1}'))], [['/toString', 'added']]);
  fc.assert(fc.property(jsonValue, value => differences(value, value).size === 0));
});

test('a rejection is explained: rule, what is there, what to send', () => {
  const event: Json = { eid: 'START', ets: '17', context: { pdata: [] }, edata: { type: 'App' } };
  const violation = (pointer: string, reason: string) =>
    explain({ code: 'ERR_SCHEMA_VIOLATION', reason, pointer }, event);
  assert.deepEqual(violation('/context/did', 'is required'), {
    rule: 'context.did is required.',
    found: null,
    fix: 'Set context.did before the event is sent.',
    field: 'context.did',
    example: '"did": "…"',
  });
  assert.deepEqual(violation('/ets', 'must be a number, is a string'), {
    rule: 'ets must be a number; it is a string.',
    found: '"17"',
    fix: 'Send ets as a number.',
    field: 'ets',
    example: '"ets": 17',
  });
  assert.equal(violation('/edata/type', 'must be one of app, session').example, '"type": "app"');
  assert.equal(
    violation('/edata/x', 'is not a field that its schema knows').fix.startsWith('Remove edata.x'),
    true,
  );
  assert.equal(violation('/mem', 'must be >= -1').rule, 'mem must be >= -1.');
  assert.match(violation('/eid', 'must be a string or null, is an array').fix, /a string or null/);
});

test('every code of a rejection has words of its own, an unknown one those of the row', () => {
  for (const code of [
    'ERR_SCHEMA_NOT_FOUND',
    'ERR_DEDUP_KEY_MISSING',
    'ERR_TIME_INVALID',
    'ERR_EVENT_TOO_LARGE',
  ]) {
    assert.doesNotMatch(explain({ code, reason: 'the row', pointer: null }, {}).rule, /the row/, code);
  }
  assert.equal(explain({ code: 'ERR_NEW', reason: 'the row', pointer: null }, {}).rule, 'the row');
});

test('explaining never throws and its field leads to the value', () => {
  fc.assert(
    fc.property(jsonValue, fc.string(), fc.string(), (event, reason, pointer) => {
      explain({ code: 'ERR_SCHEMA_VIOLATION', reason, pointer: `/${pointer}` }, event);
    }),
  );
  assert.equal(fieldOf('/context/cdata/2/id'), 'context.cdata[2].id');
  assert.equal(fieldOf('/a b/c~1d'), '["a b"]["c/d"]');
  assert.equal(valueAtPointer({ a: [{ 'b/c': 5 }] }, '/a/0/b~1c'), 5);
  assert.equal(valueAtPointer({}, '/toString'), undefined);
  assert.equal(commonPointer('/edata/items/12/id'), '/edata/items/*/id');
});

test('numbers keep the same width class and times their unit', () => {
  assert.deepEqual([0, 999, 1000, 12_345, 999_949, 4_500_000].map(formatShort), [
    '0',
    '999',
    '1.0k',
    '12.3k',
    '999.9k',
    '4.5M',
  ]);
  assert.deepEqual([0, 0.04, 3.25, 1234].map(formatRate), ['0', '0', '3.3', '1,234']);
  assert.deepEqual([0, 1023, 1536, 20 * 2 ** 30].map(formatBytes), ['0 B', '1,023 B', '1.5 KiB', '20.0 GiB']);
  assert.deepEqual([0, 61_000, 86_400_000].map(formatSpan), ['0 s', '1 min 1 s', '1 d']);
  assert.equal(formatAgo(0, 90_000), '2 min ago');
  assert.equal(formatUtc(1_714_521_600_000), '2024-05-01T00:00:00.000Z');
  assert.equal(formatUtc(1e300), '1e+300');
});

test('the remedy of a store speaks of the store in use', () => {
  const remedyOf = (name: string, adapter: string) => {
    const components = [{ name, adapter, state: 'failed', detail: 'does not answer' }];
    const pulse: unknown = {
      status: { components, conservation: [], edges: [] },
      disk: { freeBytes: 1e12, freeBytesMin: 1, logBytes: 0, logBytesMax: 1 },
      ingest: { refused: {} },
    };
    return findingsOf(pulse as PulseDocument)[0]!.remedy;
  };
  assert.match(remedyOf('state', 'embedded'), /Restart Millrace; deduplication marks are rebuilt/);
  assert.match(remedyOf('cache', 'sqlite'), /^Check the disk/);
  assert.match(remedyOf('tables', 'sqlite'), /^Check the disk/);
  for (const name of ['state', 'cache'])
    assert.match(remedyOf(name, 'redis'), /^Check Redis: millrace doctor/);
  assert.match(remedyOf('tables', 'postgresql'), /^Check PostgreSQL: millrace doctor/);
  assert.match(remedyOf('archive', 'local'), /^Check the place of the archive/);
});
