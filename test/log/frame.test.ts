import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMarks, decodeMeta, type FrameParts, framePieces } from '../../src/adapters/log/frame.ts';
import { decodeRecords, encodeRecords, RECORD_BYTES_MIN } from '../../src/adapters/log/record-codec.ts';
import { SegmentWindow } from '../../src/adapters/log/segment-window.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { temporaryDirectory } from './open-log.ts';

const EMPTY = { key: null, timeMs: 0, headers: {}, value: Buffer.alloc(0) };
const PLACE = { topic: 't', partition: 0, offset: 0 };
const text = fc.string({ unit: 'binary', maxLength: 20 });
const record: fc.Arbitrary<NewRecord> = fc.record({
  key: fc.option(text),
  timeMs: fc.double(),
  headers: fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true }),
  value: fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes)),
});

const section = fc.record({
  topic: fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
  partition: fc.nat(255),
  baseOffset: fc.maxSafeNat(),
  recordsBytes: fc.nat(2 ** 32 - 1),
  records: fc.array(record, { minLength: 1, maxLength: 5 }),
});

const meta: fc.Arbitrary<FrameParts['meta']> = fc.record(
  {
    offsets: fc.array(
      fc.record(
        { group: text, topic: text, partition: fc.nat(255), offset: fc.maxSafeNat() },
        { noNullPrototype: true },
      ),
      { maxLength: 3 },
    ),
    counters: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.maxSafeInteger(), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
    snapshot: fc.constant(null),
  },
  { noNullPrototype: true },
);

const encodeFrame = (parts: FrameParts) => Buffer.concat(framePieces(parts));

test('records read back as they were written, however many', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 20 }), fc.maxSafeNat(), (records, offset) => {
      const bytes = Buffer.from(encodeRecords(records).buffer);
      assert.ok(bytes.length >= records.length * RECORD_BYTES_MIN);
      const place = { topic: 't', partition: 3, offset: Math.min(offset, 2 ** 52) };
      const read = decodeRecords(bytes, records.length, place);
      assert.deepEqual(
        read,
        records.map((each, index) => ({ ...each, ...place, offset: place.offset + index })),
      );
    }),
  );
});

test('lone surrogates in keys and headers become U+FFFD', () => {
  const written = { ...EMPTY, key: '\ud800', headers: { h: 'a\udfff' } };
  const [read] = decodeRecords(Buffer.from(encodeRecords([written]).buffer), 1, PLACE);
  assert.equal(read!.key, '\ufffd');
  assert.deepEqual(read!.headers, { h: 'a\ufffd' });
});

test('names of headers are told apart where the bytes of one are the units of another', () => {
  const names = ['origin', 'origin', 'Ã©', 'é', '', 'Ã©', 'origim'];
  const written = names.map(name => ({ ...EMPTY, headers: { [name]: name } }));
  const read = decodeRecords(Buffer.from(encodeRecords(written).buffer), names.length, PLACE);
  assert.deepEqual(
    read.map(({ headers }) => headers),
    written.map(({ headers }) => headers),
  );
});

test('a frame reads back as it was written, at its own address only', async context => {
  const directory = temporaryDirectory(context);
  const frame = fc.record({
    address: fc.nat(2 ** 40),
    timeMs: fc.maxSafeNat(),
    sections: fc.array(section, { maxLength: 4 }),
    marks: fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 3 }),
    meta,
  });
  await fc.assert(
    fc.asyncProperty(frame, async ({ address, timeMs, sections, marks, meta }) => {
      const encoded = sections.map(each => ({
        ...each,
        count: each.records.length,
        chunks: each.records.map(one => encodeRecords([one])),
        recordsBytes: each.recordsBytes,
      }));
      const bytes = encodeFrame({ address, timeMs, sections: encoded, marks, meta });
      const path = join(directory, 'frame.seg');
      writeFileSync(path, bytes);
      const window = await SegmentWindow.open(path, address);
      const step = await window.step(address, address + bytes.length);
      assert.ok(step.kind === 'frame');
      const { header } = step;
      assert.equal(header.frameBytes, bytes.length);
      assert.equal(header.timeMs, timeMs);
      assert.deepEqual(decodeMeta(header), meta);
      const marksBytes = await window.copy(address + header.headerBytes, header.marksBytes);
      assert.deepEqual(
        decodeMarks(marksBytes!, header)!.map(one => [...one]),
        marks.map(one => [...one]),
      );
      for (const [index, { topic, partition, baseOffset, recordsBytes, records }] of sections.entries()) {
        const { crc, start, bytes, ...entry } = header.sections[index]!;
        assert.deepEqual(entry, { topic, partition, baseOffset, count: records.length, recordsBytes });
        assert.equal(await window.checksum(address + start, bytes), crc);
        const copy = await window.copy(address + start, bytes);
        const place = { topic, partition, offset: 0 };
        assert.deepEqual(
          decodeRecords(copy!, records.length, place).map(one => one.value),
          records.map(one => one.value),
        );
      }
      await window.close();

      const elsewhere = await SegmentWindow.open(path, address + 1);
      const wrong = await elsewhere.step(address + 1, address + 1 + bytes.length);
      assert.equal(wrong.kind, 'gap');
      await elsewhere.close();
    }),
  );
});

test('any single flipped bit of a frame is noticed', async context => {
  const path = join(temporaryDirectory(context), 'frame.seg');
  const records = encodeRecords([
    { key: 'k', timeMs: 1, headers: { a: 'b' }, value: Buffer.from('{"x":1}') },
  ]);
  const bytes = encodeFrame({
    address: 0,
    timeMs: 5,
    sections: [
      {
        topic: 'alpha',
        partition: 0,
        baseOffset: 3,
        count: 1,
        chunks: [records],
        recordsBytes: records.length,
      },
    ],
    marks: [Buffer.from('mark')],
    meta: { offsets: [], counters: { c: 1 }, snapshot: null },
  });
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    writeFileSync(path, flipped);
    const window = await SegmentWindow.open(path, 0);
    const step = await window.step(0, bytes.length);
    if (step.kind === 'frame') {
      const [only] = step.header.sections;
      const intact = (await window.checksum(only!.start, only!.bytes)) === only!.crc;
      const marks = await window.copy(step.header.headerBytes, step.header.marksBytes);
      assert.ok(!intact || decodeMarks(marks!, step.header) === null, `bit ${bit} went unnoticed`);
    } else {
      assert.deepEqual(step, { kind: 'gap', from: 0, to: bytes.length, cut: null });
    }
    await window.close();
  }
});

test('the search after damage finds the next frame and takes no value for one', async context => {
  const path = join(temporaryDirectory(context), 'frame.seg');
  const meta = { offsets: [], counters: {}, snapshot: null };
  const decoy = encodeFrame({ address: 999, timeMs: 1, sections: [], marks: [], meta });
  const value = Buffer.concat([Buffer.from('MRL2MRL1MRL'), decoy, Buffer.alloc(1_500_000, 'MRL2')]);
  const chunks = [encodeRecords([{ key: null, timeMs: 0, headers: {}, value }])];
  const recordsBytes = chunks[0]!.length;
  const sections = [{ topic: 'alpha', partition: 0, baseOffset: 0, count: 1, chunks, recordsBytes }];
  const first = encodeFrame({ address: 0, timeMs: 1, sections, marks: [], meta });
  const second = encodeFrame({ address: first.length, timeMs: 2, sections: [], marks: [], meta });
  first[5] = 255;
  writeFileSync(path, Buffer.concat([first, second]));
  const window = await SegmentWindow.open(path, 0);
  const end = first.length + second.length;
  assert.deepEqual(await window.step(0, end), { kind: 'gap', from: 0, to: first.length, cut: null });
  assert.equal((await window.step(first.length, end)).kind, 'frame');
  await window.close();
});
