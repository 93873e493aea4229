import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { openEmbeddedState } from '../../src/adapters/state/embedded-state.ts';
import type { Mark } from '../../src/core/job.ts';

const source = { topic: 'telemetry.ingest', partition: 0, offset: 0, index: 0 };
const mark = (key: string, timeMs: number): Mark => ({ space: 'event', key, source, timeMs });

/** What the log would hold: the marks of each commit by its position. */
function createJournal() {
  const commits: { position: number; marks: Uint8Array }[] = [];
  return {
    commits,
    async *marksFrom(position: number) {
      for (const commit of commits) if (commit.position > position) yield commit;
    },
  };
}

describe('openEmbeddedState', () => {
  let directory: string;
  let warnings: string[];
  let journal: ReturnType<typeof createJournal>;
  let keptFrom: number;
  let isDue: ((logBytes: number) => boolean) | undefined;

  const open = () =>
    openEmbeddedState({
      directory,
      ttlMs: 10_000,
      marksFrom: journal.marksFrom,
      keepFrom: position => {
        keptFrom = position;
      },
      warn: message => warnings.push(message),
      ...(isDue === undefined ? {} : { isDue }),
    });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-state-'));
    warnings = [];
    journal = createJournal();
    keptFrom = 0;
    isDue = undefined;
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function commit(state: Awaited<ReturnType<typeof open>>, position: number, marks: Mark[]) {
    const bytes = await state.mark(marks);
    assert.ok(bytes);
    journal.commits.push({ position, marks: bytes });
    await state.committed(position);
  }

  it('forgets at a crash what was never committed, and nothing else', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000), mark('b', 1500)]);
    await state.mark([mark('lost', 2000)]);
    const reopened = await open();
    const [a, b, lost] = await reopened.seen([mark('a', 0), mark('b', 0), mark('lost', 0)]);
    assert.deepEqual(
      [a, b, lost],
      [{ expiresAtMs: 11_000, source: null }, { expiresAtMs: 11_500, source: null }, undefined],
    );
  });

  it('keeps spaces apart', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    assert.deepEqual(await state.seen([{ space: 'route', key: 'a' }]), [undefined]);
  });

  it('restores from its snapshot alone once the log has dropped the marks', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    await commit(state, 200, [mark('b', 6000)]);
    await state.close();
    assert.equal(keptFrom, 200);
    journal.commits.length = 0;
    const reopened = await open();
    assert.equal(reopened.count, 2);
    assert.equal((await reopened.seen([mark('b', 0)]))[0]?.expiresAtMs, 16_000);
  });

  it('never snapshots a mark whose outputs are not durable', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    await state.mark([mark('not-durable', 2000)]);
    await state.close();
    const reopened = await open();
    assert.deepEqual(await reopened.seen([mark('not-durable', 0)]), [undefined]);
    assert.ok((await reopened.seen([mark('a', 0)]))[0]);
  });

  it('draws new seeds, with a warning, where they are damaged', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    const path = join(directory, 'seeds');
    const whole = await readFile(path);
    for (const damaged of [whole.subarray(0, 7), Buffer.from(whole).fill(1, 3, 4)]) {
      await writeFile(path, damaged);
      warnings = [];
      const reopened = await open();
      assert.equal(warnings.length, 1);
      assert.deepEqual(await reopened.seen([mark('a', 0)]), [undefined]);
      await commit(reopened, 200, [mark('b', 2000)]);
      assert.ok((await (await open()).seen([mark('b', 0)]))[0]);
    }
  });

  it('writes a table again that it found damaged', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    await state.close();
    const [name] = (await readdir(directory)).filter(file => file.startsWith('marks-'));
    await writeFile(join(directory, name!), 'damaged');
    const reopened = await open();
    assert.equal(warnings.length, 1);
    await reopened.mark([]);
    await reopened.committed(200);
    await reopened.close();
    journal.commits.length = 0;
    assert.ok((await (await open()).seen([mark('a', 0)]))[0]);
    assert.equal(warnings.length, 1);
  });

  it('holds a new batch up for a snapshot, and never the rest of a batch that was begun', async () => {
    isDue = logBytes => logBytes >= 100;
    const state = await open();
    await state.mark([mark('begun', 1000)]);
    await commit(state, 100, [mark('other', 1000)]);
    await state.mark([mark('rest', 1000)], true);
    let isHeldUp = true;
    const next = state.mark([mark('next', 1000)]).then(() => {
      isHeldUp = false;
    });
    await setImmediate();
    assert.ok(isHeldUp, 'a due snapshot waits for what is begun, and the next batch for it');
    await state.committed(200);
    await next;
    assert.equal(keptFrom, 200);
  });

  it('goes on, and keeps the log, where a snapshot cannot be written', async () => {
    isDue = logBytes => logBytes >= 100;
    const state = await open();
    // A folder of the manifest's name: no file can take its place.
    await mkdir(join(directory, 'manifest.json'));
    await commit(state, 100, [mark('a', 1000)]);
    assert.deepEqual([warnings.length, keptFrom], [1, 0]);
    await rmdir(join(directory, 'manifest.json'));
    await commit(state, 150, [mark('b', 1000)]);
    assert.equal(keptFrom, 0, 'not at once again');
    await commit(state, 200, [mark('c', 1000)]);
    assert.deepEqual([warnings.length, keptFrom], [1, 200]);
  });

  it('falls back on the log, with a warning, where any file of the snapshot is damaged', async () => {
    const state = await open();
    await commit(state, 100, [mark('a', 1000)]);
    await state.close();
    const files = (await readdir(directory)).filter(name => name !== 'seeds');
    assert.equal(files.length, 2);
    for (const name of files) {
      const path = join(directory, name);
      const whole = await readFile(path);
      const flipped = Buffer.from(whole);
      flipped[flipped.length >> 1]! ^= 0x40;
      await writeFile(path, flipped);
      warnings = [];
      const reopened = await open();
      assert.equal(warnings.length, 1, name);
      assert.ok((await reopened.seen([mark('a', 0)]))[0], name);
      await writeFile(path, whole);
    }
  });
});
