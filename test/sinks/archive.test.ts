import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { decompress } from '../../src/runtime/archive/codec.ts';
import { formatObjectName, parseObjectName } from '../../src/runtime/archive/object-name.ts';
import { dateOf, OpenRange } from '../../src/runtime/archive/open-range.ts';
import {
  ARCHIVE_CONFIG,
  append,
  DAY_MS,
  linesOf,
  logRecord,
  NOW_MS,
  startArchive,
  until,
  verdictOf,
} from './setting.ts';

test('names of objects can be read back', () => {
  const number = fc.maxSafeNat();
  const name = fc.record({
    dataset: fc.constantFrom('telemetry.failed', 'druid.events.telemetry'),
    date: fc.constantFrom('2024-05-01', 'invalid'),
    partition: fc.nat(255),
    fromOffset: number,
    toOffset: number,
    part: fc.integer({ min: 1, max: 64 }),
    parts: fc.integer({ min: 1, max: 64 }),
    codec: fc.constantFrom('zstd' as const, 'gzip' as const),
  });
  fc.assert(
    fc.property(name, value => assert.deepEqual(parseObjectName(formatObjectName(value)), { ...value })),
  );
  for (const text of ['', 'a/b', '../x/2024-05-01/0/1-2-1of1.jsonl.zst', 'notes.txt']) {
    assert.equal(parseObjectName(text), undefined);
  }
});

test('dates are UTC days; times without one are invalid', () => {
  assert.equal(dateOf(NOW_MS), '2024-05-01');
  assert.equal(dateOf(NOW_MS - 1), '2024-04-30');
  assert.equal(dateOf(-1), '1969-12-31');
  assert.equal(dateOf(253_402_300_799_999), '9999-12-31');
  for (const timeMs of [Number.NaN, Infinity, 253_402_300_800_000, 8.65e15, -62_167_219_200_001]) {
    assert.equal(dateOf(timeMs), 'invalid');
    assert.equal(dateOf(NOW_MS), '2024-05-01');
  }
});

test('a range has every record once, in order, on the date of its time', () => {
  const record = fc.record({ day: fc.nat(3), skipped: fc.nat(2), size: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 60 }), steps => {
      const range = new OpenRange({ topic: 't', partition: 0, offset: 0 }, NOW_MS);
      const expected = new Map<string, { offset: number; value: string }[]>();
      let offset = 0;
      for (const { day, skipped, size } of steps) {
        offset += skipped;
        const value = JSON.stringify({ offset, pad: 'x'.repeat(size) });
        const timeMs = NOW_MS + day * DAY_MS;
        range.add(logRecord('t', value, { offset, timeMs }));
        expected.set(dateOf(timeMs), [...(expected.get(dateOf(timeMs)) ?? []), { offset, value }]);
        offset++;
      }
      const parts = range.takeParts();
      assert.deepEqual(
        parts.map(({ date }) => date),
        [...expected.keys()].sort(),
      );
      for (const { date, text, records, runs } of parts) {
        const rows = expected.get(date)!;
        assert.equal(Buffer.from(text).toString(), rows.map(({ value }) => `${value}\n`).join(''));
        assert.equal(records, rows.length);
        const offsets = runs.flatMap(({ fromOffset, toOffset }) =>
          Array.from({ length: toOffset - fromOffset }, (_, i) => fromOffset + i),
        );
        assert.deepEqual(
          offsets,
          rows.map(row => row.offset),
        );
      }
      assert.deepEqual([range.fromOffset, range.toOffset], [0, offset]);
      assert.ok(range.heldBytes >= range.textBytes);
    }),
  );
});

test('every record is one JSON line, whatever its value', async t => {
  const { archive, log } = await startArchive(t);
  const malformed = { malformed: '1' };
  await append(log, 'telemetry.ingest', { value: '{"a":\r\n 1}' });
  await append(log, 'telemetry.ingest', { value: '{"a":\n', headers: malformed });
  await append(log, 'telemetry.ingest', { value: Buffer.from([0xff, 0x0a, 0x22]), headers: malformed });
  await append(log, 'telemetry.ingest', { value: '', headers: malformed });
  await append(log, 'telemetry.ingest', { value: 'not JSON\nat all' });
  await append(log, 'telemetry.ingest', { value: '{"b":"\\n"}' });
  await archive.flush();
  const lines = await linesOf(archive, 'telemetry.ingest');
  assert.deepEqual(
    lines.map(line => JSON.parse(line)),
    [{ a: 1 }, '{"a":\n', '\ufffd\n"', '', 'not JSON\nat all', { b: '\n' }],
  );
  assert.equal((await archive.verify()).ok, true);
});

test('flush archives what is there, split by date, and verify proves it', async t => {
  const { archive, log } = await startArchive(t);
  for (let i = 0; i < 30; i++) {
    await append(log, 'telemetry.failed', { value: `{"i":${i}}`, timeMs: NOW_MS + (i % 3) * DAY_MS });
  }
  const { topics } = await archive.flush();
  assert.deepEqual(
    topics.find(row => row.topic === 'local.telemetry.failed'),
    { topic: 'local.telemetry.failed', partition: 0, archivedTo: 30, endOffset: 30 },
  );
  await append(log, 'telemetry.failed', { value: '{"i":30}' });
  const verdict = await verdictOf(archive, 'telemetry.failed');
  assert.deepEqual(verdict, {
    ok: true,
    partition: 0,
    archivedTo: 30,
    gaps: [],
    overlaps: [],
    quarantined: [],
    damaged: [],
  });
  const { objects } = await archive.objects();
  assert.deepEqual(
    objects.map(({ object, records, fromOffset, toOffset }) => [
      object.slice(0, 27),
      records,
      fromOffset,
      toOffset,
    ]),
    ['2024-05-01', '2024-05-02', '2024-05-03'].map(date => [`telemetry.failed/${date}`, 10, 0, 30]),
  );
  const numbers = (await linesOf(archive, 'telemetry.failed')).map(line => JSON.parse(line).i);
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 30 }, (_, i) => i),
  );
  await archive.flush();
  assert.equal((await archive.objects()).objects.length, 4);
  assert.equal((await archive.verify()).ok, true);
  await assert.rejects(archive.read('telemetry.failed/x'), { code: 'ERR_NOT_FOUND' });
});

test('ranges are cut by size, by what is held open, and by age', async t => {
  let nowMs = NOW_MS;
  const config = { ...ARCHIVE_CONFIG, 'archive.objectBytes': 10_000, 'archive.openBytesMax': 40_000 };
  const { archive, log } = await startArchive(t, { config, nowMs: () => nowMs });
  const value = JSON.stringify('x'.repeat(997));
  const objectsOf = async (topic: string) =>
    (await archive.objects()).objects.filter(({ object }) => object.startsWith(`${topic}/`));
  for (let i = 0; i < 25; i++) await append(log, 'telemetry.failed', { value });
  await until('two by size', async () => (await objectsOf('telemetry.failed')).length >= 2);

  for (let i = 0; i < 9; i++) {
    for (const topic of [
      'telemetry.audit',
      'druid.events.log',
      'druid.events.error',
      'telemetry.duplicate',
      'telemetry.dropped',
    ]) {
      await append(log, topic, { value });
    }
  }
  await until('one by what is held', async () =>
    (await archive.objects()).objects.some(({ object }) => !object.startsWith('telemetry.failed/')),
  );
  // A range that is opened after it has no age yet.
  await until('all is read', () => archive.isCaughtUp());
  nowMs += 300_000;
  const endsOf = async () => (await archive.status()).topics.every(row => row.archivedTo === row.endOffset);
  await until('the rest by age', endsOf);
  await append(log, 'telemetry.assess.raw', { value });
  await until('read', () => archive.isCaughtUp());
  nowMs -= 365 * DAY_MS;
  await until('a clock set back does not keep it open', endsOf);
  assert.equal((await archive.verify()).ok, true);
});

test('many dates in one range are cut before they become too many objects', async t => {
  const { archive, log } = await startArchive(t);
  const records = Array.from({ length: 200 }, (_, i) => ({
    key: null,
    timeMs: i * DAY_MS,
    headers: {},
    value: Buffer.from(`{"i":${i}}`),
  }));
  for (const record of records) {
    await log.commit({ appends: [{ topic: 'local.telemetry.derived', partition: 0, records: [record] }] });
  }
  await archive.flush();
  assert.equal((await archive.verify()).ok, true);
  assert.equal((await linesOf(archive, 'telemetry.derived')).length, 200);
});

test('gzip objects can be read by gunzip', async t => {
  const config = { ...ARCHIVE_CONFIG, 'archive.codec': 'gzip' };
  const { archive, log, objects } = await startArchive(t, { config });
  await append(log, 'telemetry.audit', { value: '{"a":1}' });
  await archive.flush();
  const [object] = (await archive.objects()).objects;
  assert.match(object!.object, /\.jsonl\.gz$/);
  assert.equal(
    Buffer.from(await decompress('gzip', await objects.read(object!.object))).toString(),
    '{"a":1}\n',
  );
  assert.equal((await archive.verify()).ok, true);
});

test('verify finds what was lost, damaged or added', async t => {
  const { archive, log, objects, folder } = await startArchive(t);
  const file = (name: string) => path.join(folder, 'archive', name);
  for (const from of [0, 10, 20]) {
    for (let i = from; i < from + 10; i++) {
      await append(log, 'telemetry.failed', { value: `{"i":${i}}`, timeMs: NOW_MS + (i % 2) * DAY_MS });
    }
    await archive.flush();
  }
  const names = (await archive.objects()).objects.map(({ object }) => object).sort();
  assert.equal(names.length, 6);
  const of = (from: number, part: number) =>
    names.find(name => name.includes(`${from}-000`) && name.includes(`-${part}of`))!;
  const check = async (change: (bytes: Buffer) => Buffer | null, name: string) => {
    const bytes = readFileSync(file(name));
    const changed = change(Buffer.from(bytes));
    if (changed === null) rmSync(file(name));
    else writeFileSync(file(name), changed);
    const verdict = await verdictOf(archive, 'telemetry.failed');
    writeFileSync(file(name), bytes);
    return verdict;
  };
  for (const [from, toOffset] of [
    [0, 10],
    [10, 20],
    [20, 30],
  ] as const) {
    const lost = await check(() => null, of(from, 2));
    assert.deepEqual([lost.ok, lost.gaps], [false, [{ fromOffset: from, toOffset }]]);
  }
  for (let at = 0; at < readFileSync(file(of(10, 1))).length; at += 7) {
    const flipped = await check(bytes => bytes.fill(bytes[at]! ^ 0x10, at, at + 1), of(10, 1));
    assert.deepEqual([flipped.ok, flipped.damaged], [false, [of(10, 1)]], `bit at ${at}`);
  }
  const cut = await check(bytes => bytes.subarray(0, bytes.length - 3), of(0, 1));
  assert.deepEqual([cut.ok, cut.damaged], [false, [of(0, 1)]]);

  const added = 'telemetry.failed/2024-05-01/0/00000000000000000005-00000000000000000008-1of1.jsonl.zst';
  await objects.create(added, await objects.read(of(0, 1)));
  const overlapping = await verdictOf(archive, 'telemetry.failed');
  assert.deepEqual(
    [overlapping.ok, overlapping.overlaps, overlapping.damaged],
    [false, [{ fromOffset: 5, toOffset: 8 }], [added]],
  );
  rmSync(file(added));
  assert.equal((await verdictOf(archive, 'telemetry.failed')).ok, true);
});
