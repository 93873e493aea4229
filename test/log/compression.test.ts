import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { connectLog } from '../../src/adapters/log/remote-log.ts';
import { decompressSection, recordsMax, storeSection } from '../../src/adapters/log/section-codec.ts';
import type { Log } from '../../src/core/ports.ts';
import { openLog, partitionOf, readAll, recordOf, temporaryDirectory, textOf } from './open-log.ts';

const POLL = { recordsMax: 1000, bytesMax: 1e9, waitMsMax: 0 } as const;
const FIRST_FORMAT = join(import.meta.dirname, '../../fixtures/log-format-1');

/** Text of some length that compresses about as well as events do. */
const eventsOf = (bytes: number) =>
  Array.from({ length: Math.ceil(bytes / 40) }, (_, index) =>
    JSON.stringify({ eid: 'IMPRESSION', mid: `m${(index * 2_654_435_761) % 4_294_967_291}`, ets: index }),
  )
    .join('\n')
    .slice(0, bytes);

test('a section is its own again, however long, however compressible, in however many pieces', async () => {
  const filled = fc.constantFrom<(bytes: number) => Buffer>(
    bytes => Buffer.alloc(bytes, 'a'),
    bytes => Buffer.from(eventsOf(bytes)),
    bytes => randomBytes(bytes),
  );
  const lengths = fc.oneof(fc.nat(20_000), fc.integer({ min: 260_000, max: 600_000 }));
  await fc.assert(
    fc.asyncProperty(filled, lengths, fc.nat(3), async (fill, length, cuts) => {
      const whole = fill(length);
      const step = Math.ceil((length + 1) / (cuts + 1));
      const chunks = Array.from({ length: cuts + 1 }, (_, at) => whole.subarray(at * step, (at + 1) * step));
      const stored = await storeSection(chunks, length, { mayCompress: true });
      const bytes = Buffer.concat(stored.chunks);
      assert.equal(bytes.length, stored.bytes);
      assert.equal(stored.isCompressed, stored.bytes < length);
      if (!stored.isCompressed) return assert.ok(bytes.equals(whole));
      assert.ok(decompressSection(bytes, length).equals(whole));
      const target = Buffer.alloc(length);
      assert.equal(decompressSection(bytes, length, target), target);
      assert.ok(target.equals(whole));
    }),
    { numRuns: 60 },
  );
});

test('what is short, or does not get shorter, is kept as it is', async () => {
  for (const chunk of [Buffer.alloc(262_143, 'a'), randomBytes(262_144)]) {
    const stored = await storeSection([chunk], chunk.length, { mayCompress: true });
    assert.deepEqual(stored, { chunks: [chunk], bytes: chunk.length, isCompressed: false });
  }
});

test('damaged bytes bound the records they can have held: none is compressed to less than a sixteenth', async () => {
  for (const length of [262_144, 300_001]) {
    const zeros = Buffer.alloc(length);
    const stored = await storeSection([zeros], length, { mayCompress: true });
    assert.ok(stored.bytes >= length / 16 && stored.bytes < length / 15, `${stored.bytes} of ${length}`);
    assert.ok(recordsMax(stored.bytes) >= length / 20);
    const bytes = Buffer.concat(stored.chunks);
    // The end of what was written to a file full of zeros must be told.
    assert.notEqual(bytes.at(-1), 0);
    // Any decoder of Zstandard reads it.
    assert.ok(zstdDecompressSync(bytes).equals(zeros));
  }
});

/** Commits that end in sections of each kind: short, compressed from one piece and from several, not compressible. */
async function commitTexts(context: TestContext, directory: string): Promise<readonly string[]> {
  const log = await openLog(context, directory, { segmentBytes: 16 * 1024 * 1024 });
  const job = connectLog(log.share());
  const texts: string[] = [];
  const commit = (text: string, to: Log = job) => {
    texts.push(text);
    return to.commit({ appends: [{ topic: 'beta', partition: 0, records: [recordOf(text)] }] });
  };
  await commit('short');
  await commit(eventsOf(300_000));
  await commit(eventsOf(900_000));
  await Promise.all([commit(eventsOf(100_000)), commit('between'), commit(eventsOf(250_000))]);
  await commit(randomBytes(300_000).toString('base64'));
  const { bytes } = partitionOf(await log.describe(), 'beta', 0);
  assert.ok(bytes < 900_000, `${bytes} bytes of 1,950,000`);
  // What comes in is not compressed, nor what is written into one section with it.
  await Promise.all([commit(eventsOf(400_000), log), commit(eventsOf(300_000))]);
  const added = partitionOf(await log.describe(), 'beta', 0).bytes - bytes;
  assert.ok(added > 400_000, `${added} bytes`);
  await log.close();
  return texts;
}

test('compressed records are read by position and in turn, lent or not, also by the next process', async context => {
  const directory = temporaryDirectory(context);
  const texts = await commitTexts(context, directory);
  const log = await openLog(context, directory);
  assert.deepEqual((await readAll(log, 'beta', 0)).map(textOf), texts);
  for (const isLent of [true, false]) {
    const consumer = await log.consume(`lent ${isLent}`, ['beta']);
    const read: string[] = [];
    while (!consumer.isCaughtUp()) {
      for (const record of await consumer.poll({ ...POLL, recordsMax: 2, isLent })) read.push(textOf(record));
    }
    assert.deepEqual(read, texts);
    await consumer.close();
  }
});

test('a bit flipped in a compressed section costs that section, and is reported', async context => {
  const directory = temporaryDirectory(context);
  await commitTexts(context, directory);
  const path = join(directory, 'journal', '0'.repeat(20) + '.seg');
  const bytes = readFileSync(path);
  // Among the first bytes of the longest section, the third frame's.
  const magic = Buffer.from('28b52ffd', 'hex');
  const at = bytes.indexOf(magic, bytes.indexOf(magic) + 1);
  assert.ok(at > 0);
  bytes[at + 1000]! ^= 1;
  writeFileSync(path, bytes);
  const log = await openLog(context, directory);
  const offsets = (await readAll(log, 'beta', 0)).map(({ offset }) => offset);
  assert.deepEqual(offsets, [0, 1, 3, 4, 5, 6, 7, 8]);
  const lost = { topic: 'beta', partition: 0, fromOffset: 2, toOffset: 3 };
  assert.deepEqual((await log.describe()).quarantined, [lost]);
});

/** A copy of a log that the version before sections were compressed wrote, two records a commit. */
function firstFormat(context: TestContext): string {
  const directory = join(temporaryDirectory(context), 'log');
  cpSync(FIRST_FORMAT, directory, { recursive: true });
  return directory;
}

/** Writes a checkpoint again with another format. */
function setFormat(directory: string, format: number): void {
  const path = join(directory, 'checkpoint');
  const text = JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8').slice(9)), format });
  writeFileSync(path, `${crc32(text).toString(16).padStart(8, '0')} ${text}`);
}

const formatOf = (directory: string): number =>
  JSON.parse(readFileSync(join(directory, 'checkpoint'), 'utf8').slice(9)).format;

for (const how of ['with', 'without']) {
  test(`a log of the first format is read and written on, ${how} its checkpoint`, async context => {
    const directory = firstFormat(context);
    if (how === 'without') rmSync(join(directory, 'checkpoint'));
    const log = await openLog(context, directory);
    // Before the first new frame: the earlier version would take it for damage.
    if (how === 'with') assert.equal(formatOf(directory), 2);
    await log.commit({ appends: [{ topic: 'beta', partition: 0, records: [recordOf(eventsOf(300_000))] }] });
    await log.close();
    const again = await openLog(context, directory);
    const texts = ['0.0', '0.1', '2.0', '2.1', '4.0', '4.1'];
    const alpha = await readAll(again, 'alpha', 0);
    assert.deepEqual(alpha.map(textOf), texts);
    assert.deepEqual(
      alpha.map(({ key, headers }) => [key, headers]),
      texts.map(text => [`key of ${text}`, { name: text }]),
    );
    const beta = ['1.0', '1.1', '3.0', '3.1', '5.0', '5.1', eventsOf(300_000)];
    assert.deepEqual((await readAll(again, 'beta', 0)).map(textOf), beta);
    const marks: string[] = [];
    for await (const entry of again.marksFrom(0)) marks.push(Buffer.from(entry.marks).toString());
    assert.deepEqual(
      marks,
      Array.from({ length: 6 }, (_, index) => `mark ${index}`),
    );
    const state = await again.describe();
    assert.deepEqual(state.quarantined, []);
    assert.equal(state.counters['copied'], 12);
    assert.deepEqual(state.offsets, [{ group: 'copy', topic: 'alpha', partition: 0, offset: 5 }]);
  });
}

test('a frame of the first format whose header is damaged is found out, and what follows is read', async context => {
  const directory = firstFormat(context);
  const path = join(directory, 'journal', '0'.repeat(20) + '.seg');
  const bytes = readFileSync(path);
  bytes[60]! ^= 1;
  writeFileSync(path, bytes);
  rmSync(join(directory, 'checkpoint'));
  const log = await openLog(context, directory);
  assert.deepEqual((await readAll(log, 'alpha', 0)).map(textOf), ['2.0', '2.1', '4.0', '4.1']);
  const lost = { topic: 'alpha', partition: 0, fromOffset: 0, toOffset: 2 };
  assert.deepEqual((await log.describe()).quarantined, [lost]);
});

test('a log of a later format is refused, and nothing of it is touched', async context => {
  const directory = firstFormat(context);
  setFormat(directory, 3);
  const before = statSync(join(directory, 'journal')).mtimeMs;
  await assert.rejects(openLog(context, directory), { code: 'ERR_DATA_FORMAT', why: /format 3.* writes 2/ });
  assert.equal(statSync(join(directory, 'journal')).mtimeMs, before);
  assert.equal(formatOf(directory), 3);
});
