import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
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

const SEGMENT_BYTES = 64 * 1024;
const WAIT_MS_MAX = 30_000;

/**
 * A log whose last segment was a spare: `crashed` as a power cut would leave it, the file longer than what was written
 * to it, and `closed`. The last segment holds the last `frames` commits.
 */
async function writeIntoSpare(context: TestContext, frames: number) {
  const root = temporaryDirectory(context);
  const [live, crashed] = [join(root, 'live'), join(root, 'crashed')];
  const oracle = new JournalOracle();
  const log = await openEmbeddedLog(logOptions(live, { segmentBytes: SEGMENT_BYTES }));
  const commit = (index: number) =>
    oracle.commit(log, PLACES[index % PLACES.length]!, [`${index} ${'x'.repeat((index * 37) % 90)}`, 'last']);
  // Half a segment makes the log ask for a spare; once it is there, the segment that grew is left for it.
  while (oracle.acknowledged.length === 0 || oracle.acknowledged.at(-1)!.position < SEGMENT_BYTES / 2) {
    await commit(oracle.acknowledged.length);
  }
  await until(() => isWhole(join(live, 'spare')));
  for (let n = 0; n < frames; n++) await commit(oracle.acknowledged.length);
  cpSync(live, crashed, { recursive: true, filter: file => !file.endsWith('.new') });
  await log.close();
  return { root, oracle, crashed, closed: live };
}

test('a segment that was a spare is as long as a segment becomes, and cut when it is closed', async context => {
  const { oracle, crashed, closed } = await writeIntoSpare(context, 5);
  const sizeIn = (directory: string): number => statSync(lastSegment(directory)).size;
  assert.equal(sizeIn(crashed), SEGMENT_BYTES);
  const used = oracle.acknowledged.at(-1)!.position - baseOf(lastSegment(closed));
  assert.equal(sizeIn(closed), used);
  assert.equal(existsSync(join(closed, 'spare')), false, 'a spare that is not used goes');
  for (const directory of [crashed, closed]) {
    const log = await openLog(context, directory, { segmentBytes: SEGMENT_BYTES });
    assert.equal(sizeIn(directory), used);
    assert.equal(await checkDamaged(log, oracle), 0);
  }
});

test('frames that had not arrived, at any byte of the last two, cost nothing that was before', async context => {
  const { root, oracle, crashed } = await writeIntoSpare(context, 4);
  const path = lastSegment(crashed);
  const base = baseOf(path);
  const bytes = readFileSync(path);
  const [third, , last] = oracle.acknowledged.slice(-3).map(entry => entry.position - base);
  for (let cut = third!; cut < last!; cut += 3) {
    const directory = join(root, `zeros-${cut}`);
    cpSync(crashed, directory, { recursive: true });
    // What is behind the cut is as the spare was made.
    writeFileSync(
      lastSegment(directory),
      Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(bytes.length - cut)]),
    );
    const log = await openEmbeddedLog(logOptions(directory, { segmentBytes: SEGMENT_BYTES }));
    for (const place of PLACES) {
      const records = new Map(
        (await readAll(log, place.topic, place.partition)).map(one => [one.offset, textOf(one)]),
      );
      for (const [offset, text] of oracle.expected(place, base + cut))
        assert.equal(records.get(offset), text);
      const written = oracle.expected(place);
      for (const [offset, text] of records) assert.equal(text, written.get(offset), 'nothing is invented');
      // Zeros are not held for records: nobody is moved on by as many as would fit into them.
      const { endOffset } = partitionOf(await log.describe(), place.topic, place.partition);
      assert.ok(endOffset < 2 * oracle.nextOffset(place), `${endOffset} at ${cut}`);
      const { baseOffsets } = await log.commit({ appends: [{ ...place, records: [recordOf('new')] }] });
      assert.equal(baseOffsets[0], endOffset);
    }
    const { quarantined } = await log.describe();
    await log.close();
    const again = await openEmbeddedLog(logOptions(directory, { segmentBytes: SEGMENT_BYTES }));
    assert.deepEqual((await again.describe()).quarantined, quarantined, `cut at ${cut}`);
    for (const place of PLACES) {
      assert.equal(textOf((await readAll(again, place.topic, place.partition)).at(-1)!), 'new');
    }
    await again.close();
    rmSync(directory, { recursive: true });
  }
});

test('a spare that was taken before its new name was durable is found by its first frame', async context => {
  const { root, oracle, crashed } = await writeIntoSpare(context, 5);
  for (const isNameTaken of [false, true]) {
    const directory = join(root, `unnamed-${isNameTaken}`);
    cpSync(crashed, directory, { recursive: true });
    const path = lastSegment(directory);
    renameSync(path, join(directory, 'spare'));
    // A file that failed before its first frame had the name.
    if (isNameTaken) writeFileSync(path, '');
    const log = await openLog(context, directory, { segmentBytes: SEGMENT_BYTES });
    assert.equal(await checkDamaged(log, oracle), 0);
    assert.ok(existsSync(path));
    assert.equal(existsSync(join(directory, 'spare')), false);
  }
});

function isWhole(spare: string): boolean {
  return statSync(spare, { throwIfNoEntry: false })?.size === SEGMENT_BYTES;
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, 'it came in time');
    await delay(10);
  }
}

function lastSegment(directory: string): string {
  const journal = join(directory, 'journal');
  return join(journal, readdirSync(journal).sort().at(-1)!);
}

function baseOf(segment: string): number {
  return Number(/(\d+)\.seg$/.exec(segment)![1]);
}
