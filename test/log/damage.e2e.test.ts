import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import { connectLog } from '../../src/adapters/log/remote-log.ts';
import { checkDamaged, JournalOracle, PLACES } from './journal-oracle.ts';
import {
  logOptions,
  openLog,
  partitionOf,
  readAll,
  recordOf,
  temporaryDirectory,
  textOf,
} from './open-log.ts';

const POLL = { recordsMax: 1000, bytesMax: 1e9, waitMsMax: 0 } as const;

/** Small numbers from a seed, the same each time (a multiplicative congruential generator). */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/**
 * A log of several segments; `crashed` has no checkpoint of its end, `closed` has. One of so many commits has texts
 * that are long enough to be compressed.
 */
async function writeJournal(test: TestContext, commits: number, segmentBytes: number, long = commits + 1) {
  const root = temporaryDirectory(test);
  const [live, crashed] = [join(root, 'live'), join(root, 'crashed')];
  const oracle = new JournalOracle();
  const log = await openEmbeddedLog(logOptions(live, { segmentBytes }));
  const job = connectLog(log.share());
  for (let index = 0; index < commits; index++) {
    const place = PLACES[(index * 7) % 5 === 0 ? 0 : index % PLACES.length]!;
    const texts = Array.from(
      { length: 1 + (index % 3) },
      (_, each) => `${index}.${each} ${'x'.repeat(index % long === long - 1 ? 300_000 : (index * 37) % 90)}`,
    );
    await oracle.commit(job, place, texts);
  }
  // A checkpoint's temporary file can be gone between being listed and being copied.
  cpSync(live, crashed, { recursive: true, filter: file => !file.endsWith('.new') });
  await log.close();
  return { root, oracle, crashed, closed: live };
}

test('a journal cut at any byte of its last two frames keeps all before it', async context => {
  const { root, oracle, crashed } = await writeJournal(context, 12, 64 * 1024);
  const [segment] = readdirSync(join(crashed, 'journal'));
  const size = statSync(join(crashed, 'journal', segment!)).size;
  const ends = oracle.acknowledged.map(entry => entry.position);
  assert.equal(ends.at(-1), size);
  for (let cut = ends.at(-3)!; cut < size; cut++) {
    const directory = join(root, 'cut');
    cpSync(crashed, directory, { recursive: true });
    truncateSync(join(directory, 'journal', segment!), cut);
    const log = await openEmbeddedLog(logOptions(directory));
    const state = await log.describe();
    for (const place of PLACES) {
      const kept = [...oracle.expected(place, cut)];
      const records = await readAll(log, place.topic, place.partition);
      assert.deepEqual(
        records.map(record => [record.offset, textOf(record)]),
        kept,
        `cut at ${cut}`,
      );
      const { baseOffsets } = await log.commit({ appends: [{ ...place, records: [recordOf('new')] }] });
      for (const range of state.quarantined) {
        if (range.topic === place.topic && range.partition === place.partition) {
          assert.ok(baseOffsets[0]! >= range.toOffset, `cut at ${cut}`);
        }
      }
    }
    await log.close();
    const again = await openEmbeddedLog(logOptions(directory));
    const { quarantined } = await again.describe();
    assert.deepEqual(quarantined, state.quarantined, `cut at ${cut}`);
    for (const place of PLACES) {
      const records = await readAll(again, place.topic, place.partition);
      assert.equal(textOf(records.at(-1)!), 'new');
    }
    await again.close();
    rmSync(directory, { recursive: true });
  }
});

test('a frame cut in its payload is reported exactly, and so is a segment cut below its checkpoint', async context => {
  const { oracle, crashed } = await writeJournal(context, 12, 64 * 1024);
  const [segment] = readdirSync(join(crashed, 'journal'));
  const last = oracle.acknowledged.at(-1)!;
  truncateSync(join(crashed, 'journal', segment!), last.position - 1);
  const log = await openLog(context, crashed);
  const { topic, partition, baseOffset, texts } = last;
  const range = { topic, partition, fromOffset: baseOffset, toOffset: baseOffset + texts.length };
  assert.deepEqual((await log.describe()).quarantined, [range]);
  assert.equal(readdirSync(join(crashed, 'quarantine')).length, 1);
  await log.commit({ appends: [{ topic: 'beta', partition: 0, records: [recordOf('new')] }] });
  // Addresses are not used again either: a snapshot of the dedup state may name one of those that are lost.
  const names = readdirSync(join(crashed, 'journal'));
  assert.equal(Number(names[1]!.slice(0, 20)), last.position - 1);
  await log.close();

  truncateSync(join(crashed, 'journal', segment!), oracle.acknowledged.at(-2)!.position - 3);
  const second = await openLog(context, crashed);
  // The checkpoint of the first opening says what the file held: a survey names what is gone.
  const {
    topic: otherTopic,
    partition: otherPartition,
    baseOffset: from,
    texts: gone,
  } = oracle.acknowledged.at(-2)!;
  assert.deepEqual((await second.describe()).quarantined, [
    range,
    { topic: otherTopic, partition: otherPartition, fromOffset: from, toOffset: from + gone.length },
  ]);
});

for (const kind of ['crashed', 'closed'] as const) {
  test(`a bit flipped anywhere in a ${kind} log costs at most its frame, and is reported`, async context => {
    const seed = 20_261;
    context.diagnostic(`seed ${seed}`);
    const random = numbersFrom(seed);
    const journal = await writeJournal(context, 400, 16 * 1024, 150);
    const { root, oracle } = journal;
    const base = journal[kind];
    const files = [...readdirSync(join(base, 'journal')).map(name => join('journal', name)), 'checkpoint'];
    assert.ok(files.length >= 4, 'several segments');
    let damaged = 0;
    for (let round = 0; round < 100; round++) {
      const directory = join(root, 'flipped');
      cpSync(base, directory, { recursive: true });
      const file = join(directory, files[round % files.length]!);
      const bytes = readFileSync(file);
      const at = random(bytes.length);
      bytes[at]! ^= 1 << random(8);
      writeFileSync(file, bytes);
      const log = await openEmbeddedLog(logOptions(directory, { segmentBytes: 16 * 1024 }));
      const lost = await checkDamaged(log, oracle);
      assert.ok(lost <= 3, `round ${round}: ${lost} records lost to one bit of ${file} at ${at}`);
      if (lost > 0) damaged += 1;

      const consumer = await log.consume('all', ['alpha', 'beta']);
      const records = await consumer.poll(POLL);
      const acknowledged = oracle.acknowledged.reduce((sum, entry) => sum + entry.texts.length, 0);
      assert.equal(records.length, acknowledged - lost + PLACES.length, `round ${round}`);
      assert.equal(consumer.isCaughtUp(), true);
      const { quarantined } = await log.describe();
      await log.close();
      const again = await openEmbeddedLog(logOptions(directory, { segmentBytes: 16 * 1024 }));
      assert.deepEqual((await again.describe()).quarantined, quarantined, 'reports outlive the process');
      await again.close();
      rmSync(directory, { recursive: true });
    }
    assert.ok(damaged > 10, 'flips did damage');
  });
}

test('a last frame whose records are torn counts for nothing: no offsets, no counters, no marks', async context => {
  const root = temporaryDirectory(context);
  const [live, crashed] = [join(root, 'live'), join(root, 'crashed')];
  const first = await openLog(context, live);
  const append = { topic: 'alpha', partition: 0, records: [recordOf('in'), recordOf('in')] };
  const group = { group: 'copy', topic: 'alpha', partition: 0 };
  await first.commit({ appends: [append], offsets: [{ ...group, offset: 0 }], counters: { copied: 0 } });
  await first.commit({
    appends: [{ topic: 'beta', partition: 0, records: [recordOf('out')] }],
    offsets: [{ ...group, offset: 2 }],
    counters: { copied: 2 },
    marks: Buffer.from('mark'),
  });
  // A checkpoint's temporary file can be gone between being listed and being copied.
  cpSync(live, crashed, { recursive: true, filter: file => !file.endsWith('.new') });
  const [segment] = readdirSync(join(crashed, 'journal'));
  const path = join(crashed, 'journal', segment!);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  const log = await openLog(context, crashed);
  const state = await log.describe();
  assert.deepEqual(state.offsets, [{ ...group, offset: 0 }]);
  assert.deepEqual(state.counters, { copied: 0 });
  assert.deepEqual(state.quarantined, [{ topic: 'beta', partition: 0, fromOffset: 0, toOffset: 1 }]);
  assert.equal(partitionOf(state, 'beta', 0).records, 0);
  for await (const entry of log.marksFrom(0)) assert.fail(`marks of a torn frame at ${entry.position}`);
});

test('a last frame without a readable header moves every partition past all it can have held', async context => {
  const { oracle, crashed } = await writeJournal(context, 12, 64 * 1024);
  const [segment] = readdirSync(join(crashed, 'journal'));
  const path = join(crashed, 'journal', segment!);
  const bytes = readFileSync(path);
  const from = oracle.acknowledged.at(-2)!.position;
  bytes[from + 9]! ^= 1;
  writeFileSync(path, bytes);
  const log = await openLog(context, crashed);
  const { quarantined } = await log.describe();
  assert.equal(quarantined.length, PLACES.length);
  // The shortest record has 20 bytes, and compressed a sixteenth of that at least.
  const held = Math.ceil(((bytes.length - from) * 16) / 20);
  for (const range of quarantined) assert.equal(range.toOffset - range.fromOffset, held);
  assert.equal(await checkDamaged(log, oracle), oracle.acknowledged.at(-1)!.texts.length);
});

test('a lost segment is reported, and the log goes on', async context => {
  const { oracle, closed } = await writeJournal(context, 400, 16 * 1024);
  const names = readdirSync(join(closed, 'journal'));
  rmSync(join(closed, 'journal', names[1]!));
  const log = await openLog(context, closed);
  const lost = await checkDamaged(log, oracle);
  assert.ok(lost > 50);
});

test('oldest segments that all groups had passed may be gone: they were retired', async context => {
  const { oracle, closed } = await writeJournal(context, 400, 16 * 1024);
  const first = await openLog(context, closed);
  const offsets = PLACES.map(place => ({ ...place, group: 'sink', offset: oracle.nextOffset(place) }));
  await first.commit({ appends: [], offsets });
  await first.close();
  const names = readdirSync(join(closed, 'journal'));
  rmSync(join(closed, 'journal', names[0]!));
  const log = await openLog(context, closed);
  const state = await log.describe();
  assert.deepEqual(state.quarantined, []);
  assert.ok(partitionOf(state, 'alpha', 0).startOffset > 0);
  assert.equal(partitionOf(state, 'alpha', 0).records, oracle.nextOffset({ topic: 'alpha', partition: 0 }));
});

test('without a checkpoint the journal tells the same, also when its beginning was retired', async context => {
  const { oracle, closed } = await writeJournal(context, 400, 16 * 1024);
  const names = readdirSync(join(closed, 'journal'));
  const first = await openLog(context, closed);
  await first.commit({
    appends: [],
    offsets: PLACES.map(place => ({ ...place, group: 'sink', offset: oracle.nextOffset(place) })),
    counters: { a: 1 },
  });
  await first.close();
  rmSync(join(closed, 'journal', names[0]!));
  const second = await openLog(context, closed);
  const state = await second.describe();
  await second.close();
  rmSync(join(closed, 'checkpoint'));
  const third = await openLog(context, closed);
  assert.deepEqual(await third.describe(), state);
});

test('zeros after the last frame, as a power cut leaves them, are cut off without a report', async context => {
  const { oracle, crashed } = await writeJournal(context, 12, 64 * 1024);
  const [segment] = readdirSync(join(crashed, 'journal'));
  const path = join(crashed, 'journal', segment!);
  const size = statSync(path).size;
  truncateSync(path, size + 5000);
  const log = await openLog(context, crashed);
  assert.deepEqual((await log.describe()).quarantined, []);
  assert.equal(statSync(path).size, size);
  assert.equal(await checkDamaged(log, oracle), 0);
});
