import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import type { Consumer, GroupOffset } from '../../src/core/ports.ts';
import { PLACES } from './journal-oracle.ts';
import { logOptions, partitionOf, readAll, recordOf, temporaryDirectory, textOf } from './open-log.ts';

/** What can happen to a log. */
type Step =
  | { readonly kind: 'commit'; readonly places: readonly number[]; readonly size: number }
  | { readonly kind: 'poll'; readonly recordsMax: number; readonly commits: boolean }
  | { readonly kind: 'read'; readonly place: number; readonly from: number; readonly recordsMax: number }
  | { readonly kind: 'reopen'; readonly how: 'closed' | 'crashed' | 'without checkpoint' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit'),
      places: fc.array(fc.nat(2), { maxLength: 5 }),
      size: fc.nat(400),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('poll'),
      recordsMax: fc.integer({ min: 1, max: 9 }),
      commits: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read'),
      place: fc.nat(2),
      from: fc.nat(30),
      recordsMax: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reopen'),
      how: fc.constantFrom('closed', 'crashed', 'without checkpoint'),
    }),
  },
);

/** A log beside arrays of what it must hold. */
class Model {
  readonly #root: string;
  readonly #records: string[][] = PLACES.map(() => []);
  readonly #committed = PLACES.map(() => 0);
  readonly #handedOut = PLACES.map(() => 0);
  #opened = 0;
  #commits = 0;
  #log!: EmbeddedLog;
  #consumer!: Consumer;

  constructor(root: string) {
    this.#root = root;
  }

  async open(): Promise<void> {
    this.#log = await openEmbeddedLog(logOptions(this.#directory(), { segmentBytes: 2000 }));
    this.#consumer = await this.#log.consume('group', ['alpha', 'beta']);
    for (const index of PLACES.keys()) this.#handedOut[index] = this.#committed[index]!;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'commit':
        return this.#commit(step.places, step.size);
      case 'poll':
        return this.#poll(step.recordsMax, step.commits);
      case 'read':
        return this.#read(step);
      case 'reopen':
        return this.#reopen(step.how);
    }
  }

  async check(): Promise<void> {
    const state = await this.#log.describe();
    for (const [index, { topic, partition }] of PLACES.entries()) {
      const { startOffset, endOffset, records } = partitionOf(state, topic, partition);
      const stored = this.#records[index]!;
      assert.deepEqual(
        { startOffset, endOffset, records },
        { startOffset: 0, endOffset: stored.length, records: stored.length },
      );
      assert.deepEqual((await readAll(this.#log, topic, partition)).map(textOf), stored);
      const row = state.offsets.find(each => each.topic === topic && each.partition === partition);
      assert.equal(row?.offset, this.#committed[index]);
    }
    assert.deepEqual(state.quarantined, []);
    assert.equal(state.counters['commits'] ?? 0, this.#commits);
    let marks = 0;
    for await (const _ of this.#log.marksFrom(0)) marks += 1;
    assert.equal(marks, this.#commits);
    await this.#log.close();
  }

  async #commit(places: readonly number[], size: number): Promise<void> {
    const appends = places.map((place, index) => {
      const texts = Array.from(
        { length: 1 + (size % 3) },
        (_, each) => `${this.#commits}.${index}.${each} ${'x'.repeat(size)}`,
      );
      return { ...PLACES[place]!, place, texts, records: texts.map(recordOf) };
    });
    const { baseOffsets } = await this.#log.commit({
      appends,
      counters: { commits: 1 },
      marks: Buffer.from('m'),
    });
    this.#commits += 1;
    for (const [index, { place, texts }] of appends.entries()) {
      assert.equal(baseOffsets[index], this.#records[place]!.length);
      this.#records[place]!.push(...texts);
    }
  }

  async #poll(recordsMax: number, commits: boolean): Promise<void> {
    const records = await this.#consumer.poll({ recordsMax, bytesMax: 2000, waitMsMax: 0 });
    for (const record of records) {
      const place = PLACES.findIndex(
        each => each.topic === record.topic && each.partition === record.partition,
      );
      assert.equal(record.offset, this.#handedOut[place], 'in order, none left out, none twice');
      assert.equal(textOf(record), this.#records[place]![record.offset]);
      this.#handedOut[place]! += 1;
    }
    const isDrained = this.#records.every((stored, index) => stored.length === this.#handedOut[index]);
    assert.ok(isDrained || records.length > 0);
    assert.equal(this.#consumer.isCaughtUp(), isDrained);
    if (!commits) return;
    const offsets: GroupOffset[] = PLACES.map((place, index) => ({
      ...place,
      group: 'group',
      offset: this.#handedOut[index]!,
    }));
    await this.#log.commit({ appends: [], offsets });
    for (const index of PLACES.keys()) this.#committed[index] = this.#handedOut[index]!;
  }

  async #read(step: Extract<Step, { readonly kind: 'read' }>): Promise<void> {
    const { topic, partition } = PLACES[step.place]!;
    const records = await this.#log.read(topic, partition, step.from, step.recordsMax);
    const expected = this.#records[step.place]!.slice(step.from, step.from + step.recordsMax);
    assert.deepEqual(records.map(textOf), expected);
  }

  async #reopen(how: Extract<Step, { readonly kind: 'reopen' }>['how']): Promise<void> {
    if (how === 'closed') await this.#log.close();
    const before = this.#directory();
    this.#opened += 1;
    // A checkpoint may be on its way: its temporary file can be gone between being listed and being copied.
    const filter = (file: string): boolean => !file.endsWith('.new');
    cpSync(before, this.#directory(), { recursive: true, filter });
    await this.#log.close();
    rmSync(before, { recursive: true });
    if (how === 'without checkpoint') rmSync(join(this.#directory(), 'checkpoint'), { force: true });
    await this.open();
  }

  #directory(): string {
    return join(this.#root, String(this.#opened));
  }
}

test('a log is what an array of its records is, through crashes and lost checkpoints', async context => {
  const root = temporaryDirectory(context);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      run += 1;
      const model = new Model(join(root, String(run)));
      await model.open();
      for (const each of steps) await model.take(each);
      await model.check();
      rmSync(join(root, String(run)), { recursive: true });
    }),
    { numRuns: 60 },
  );
});
