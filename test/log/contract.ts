import assert from 'node:assert/strict';
import type { JournaledLog } from '../../src/adapters/log/log-contract.ts';
import type { Log } from '../../src/core/ports.ts';
import { draftOn } from '../../src/runtime/list-draft.ts';
import { partitionOf, readAll, readSoon, recordOf, textOf } from './open-log.ts';

const PLACE = { partition: 0, offset: 0, key: null, headers: {} } as const;
const POLL = { recordsMax: 100, bytesMax: 1_000_000, waitMsMax: 0 } as const;

/** Full names of the two topics, of two partitions and one: on a shared broker each test has its own. */
export interface ContractTopics {
  readonly alpha: string;
  readonly beta: string;
}

/** The names where the log is the test's alone. */
export const OWN_TOPICS: ContractTopics = { alpha: 'alpha', beta: 'beta' };

/**
 * What every log must do, on a fresh one with the topics of `open-log.ts`. Plain functions, so that they also
 * run inside a worker thread.
 */
export const CONTRACT: Readonly<Record<string, (log: Log, topics: ContractTopics) => Promise<void>>> = {
  'offsets count each partition from 0, in the order of appends': async (log, { alpha, beta }) => {
    const first = await log.commit({
      appends: [
        { topic: alpha, partition: 0, records: [recordOf('a'), recordOf('b')] },
        { topic: alpha, partition: 1, records: [] },
        { topic: beta, partition: 0, records: [recordOf('c')] },
        { topic: alpha, partition: 0, records: [recordOf('d')] },
      ],
    });
    assert.deepEqual(first.baseOffsets, [0, 0, 0, 2]);
    const second = await log.commit({
      appends: [{ topic: alpha, partition: 0, records: [recordOf('e')] }],
    });
    assert.deepEqual(second.baseOffsets, [3]);
    assert.deepEqual((await log.read(alpha, 0, 1, 2)).map(textOf), ['b', 'd']);
    assert.deepEqual((await log.read(alpha, 0, 3, 10)).map(textOf), ['e']);
    assert.deepEqual(await log.read(alpha, 0, 4, 10), []);
    assert.deepEqual(await log.read(alpha, 1, 0, 10), []);
  },

  'a record comes back as it went in': async (log, { beta }) => {
    const records = [
      { key: null, timeMs: 0, headers: {}, value: Buffer.alloc(0) },
      {
        key: '',
        timeMs: -1.5,
        headers: { '': '', a: 'ü', __proto__x: '€' },
        value: Buffer.from([0, 255, 10]),
      },
      {
        key: 'k\u0000\u{1f600}',
        timeMs: Number.NaN,
        headers: { reason: 'x'.repeat(100_000) },
        value: Buffer.from('{}'),
      },
      { key: 'big', timeMs: 1, headers: {}, value: Buffer.alloc(3_000_000, 'x') },
    ];
    await log.commit({ appends: [{ topic: beta, partition: 0, records }] });
    const read = await log.read(beta, 0, 0, 10);
    assert.deepEqual(
      read.map(record => ({ ...record, value: Buffer.from(record.value) })),
      records.map((record, offset) => ({ ...record, topic: beta, partition: 0, offset })),
    );
  },

  'a draft becomes one commit: its records in their order, values continued by their texts': async (
    log,
    { alpha, beta },
  ) => {
    const draft = draftOn(log);
    const long = 'ü€'.repeat(40_000);
    const value = Buffer.from('[,{"a":1,]');
    for (const tail of ['}', ',"é":"\u{1f600}"}', `,"l":"${long}"}`]) {
      const record = { key: 'kü', timeMs: 7, headers: { origin: 'x' } };
      draft.writer(alpha, 1).add(record, { head: value, from: 2, to: value.length - 2, tail });
      // The memory may be used again as soon as it was handed over.
      value.write('{"b":2', 2);
    }
    const bare = { key: null, timeMs: 8, headers: {} };
    const tail = Buffer.from('{}');
    draft.writer(beta, 0).add(bare, { head: new Uint8Array(0), from: 0, to: 0, tail });
    tail.fill(0);
    draft.writer(alpha, 0);
    assert.throws(() => draft.writer('gamma', 0), { code: 'ERR_TOPIC_UNKNOWN' });
    const offset = { group: 'g', topic: alpha, partition: 0, offset: 0 };
    const { baseOffsets } = await draft.commit({ offsets: [offset], counters: { c: 1 } });
    // A log whose commits with offsets are transactions does not tell them.
    assert.ok(baseOffsets.every(base => base === 0) || baseOffsets.every(base => base === -1));
    assert.equal(baseOffsets.length, 2);
    assert.deepEqual((await readSoon(log, alpha, 1, 3)).map(textOf), [
      '{"a":1}',
      '{"b":2,"é":"\u{1f600}"}',
      `{"b":2,"l":"${long}"}`,
    ]);
    const [other] = await readSoon(log, beta, 0, 1);
    assert.deepEqual({ ...other, value: textOf(other!) }, { ...PLACE, topic: beta, timeMs: 8, value: '{}' });
    assert.deepEqual(await log.read(alpha, 0, 0, 9), []);
    assert.equal((await log.describe()).counters['c'], 1);
  },

  'commits made at once get contiguous offsets in call order': async (log, { beta }) => {
    const commits = Array.from({ length: 64 }, (_, index) =>
      log.commit({
        appends: [{ topic: beta, partition: 0, records: [recordOf(`${index}`), recordOf('+')] }],
      }),
    );
    const bases = (await Promise.all(commits)).map(result => result.baseOffsets[0]);
    assert.deepEqual(
      bases,
      Array.from({ length: 64 }, (_, index) => index * 2),
    );
    const texts = (await readAll(log, beta, 0)).map(textOf).filter(text => text !== '+');
    assert.deepEqual(
      texts,
      Array.from({ length: 64 }, (_, index) => `${index}`),
    );
  },

  'unknown topics are refused and nothing of the commit is kept': async (log, { alpha, beta }) => {
    const append = { topic: beta, partition: 0, records: [recordOf('x')] };
    const refused = { code: 'ERR_TOPIC_UNKNOWN' };
    await assert.rejects(log.commit({ appends: [append, { ...append, topic: 'gamma' }] }), refused);
    await assert.rejects(log.read('gamma', 0, 0, 1), refused);
    await assert.rejects(log.consume('group', ['gamma']), refused);
    assert.throws(() => log.partitionCount('gamma'), refused);
    assert.equal(log.partitionCount(alpha), 2);
    await assert.rejects(log.commit({ appends: [{ ...append, partition: 1 }] }), /partitions/);
    assert.deepEqual(await log.read(beta, 0, 0, 1), []);
  },

  'a consumer hands out every record of its topics once, offset order within a partition': async (
    log,
    { alpha, beta },
  ) => {
    const consumer = await log.consume('group', [alpha]);
    assert.equal(consumer.isCaughtUp(), true);
    for (let index = 0; index < 10; index++) {
      await log.commit({
        appends: [
          { topic: alpha, partition: index % 2, records: [recordOf(`${index}a`), recordOf(`${index}b`)] },
          { topic: beta, partition: 0, records: [recordOf('not for us')] },
        ],
      });
    }
    assert.equal(consumer.isCaughtUp(), false);
    const got: string[][] = [[], []];
    for (;;) {
      const records = await consumer.poll({ ...POLL, recordsMax: 3 });
      if (records.length === 0) break;
      assert.ok(records.length <= 3);
      for (const record of records) {
        assert.equal(record.topic, alpha);
        assert.equal(record.offset, got[record.partition]!.length);
        got[record.partition]!.push(textOf(record));
      }
    }
    assert.equal(consumer.isCaughtUp(), true);
    assert.deepEqual(got[0], ['0a', '0b', '2a', '2b', '4a', '4b', '6a', '6b', '8a', '8b']);
    assert.equal(got[1]!.length, 10);
    await consumer.close();
    await assert.rejects(consumer.poll(POLL), { code: 'ERR_LOG_CLOSED' });
  },

  'a poll is bounded by bytes, but returns one record': async (log, { beta }) => {
    const record = { ...recordOf(''), value: Buffer.alloc(1000, 'x') };
    const records = Array.from({ length: 5 }, () => record);
    await log.commit({ appends: [{ topic: beta, partition: 0, records }] });
    const consumer = await log.consume('group', [beta]);
    assert.equal((await consumer.poll({ ...POLL, bytesMax: 1 })).length, 1);
    assert.equal((await consumer.poll({ ...POLL, bytesMax: 1500 })).length, 2);
    assert.equal((await consumer.poll(POLL)).length, 2);
    await consumer.close();
  },

  'a waiting poll wakes when a record is durable, and ends when the wait runs out': async (
    log,
    { alpha, beta },
  ) => {
    const consumer = await log.consume('group', [beta]);
    const startedMs = performance.now();
    assert.deepEqual(await consumer.poll({ ...POLL, waitMsMax: 50 }), []);
    assert.ok(performance.now() - startedMs >= 45);
    const waiting = consumer.poll({ ...POLL, waitMsMax: 20_000 });
    await log.commit({ appends: [{ topic: alpha, partition: 0, records: [recordOf('not for us')] }] });
    await log.commit({ appends: [{ topic: beta, partition: 0, records: [recordOf('late')] }] });
    assert.deepEqual((await waiting).map(textOf), ['late']);
    const closing = consumer.poll({ ...POLL, waitMsMax: 20_000 });
    await consumer.close();
    assert.deepEqual(await closing, []);
    assert.ok(performance.now() - startedMs < 10_000);
  },

  'a group goes on at its committed offsets, another one starts at the oldest record': async (
    log,
    { alpha, beta },
  ) => {
    const records = ['a', 'b', 'c', 'd'].map(recordOf);
    await log.commit({ appends: [{ topic: beta, partition: 0, records }] });
    const first = await log.consume('group', [beta]);
    await first.poll({ ...POLL, recordsMax: 3 });
    await log.commit({ appends: [], offsets: [{ group: 'group', topic: beta, partition: 0, offset: 2 }] });
    await first.close();
    const second = await log.consume('group', [beta]);
    assert.deepEqual(
      (await second.poll(POLL)).map(record => [record.offset, textOf(record)]),
      [
        [2, 'c'],
        [3, 'd'],
      ],
    );
    const other = await log.consume('other', [beta, alpha]);
    assert.equal((await other.poll(POLL)).length, 4);
    await second.close();
    await other.close();
  },

  'outputs, offsets and counters of a commit are seen together': async (log, { alpha, beta }) => {
    const offsets = [{ group: 'chain', topic: alpha, partition: 1, offset: 7 }];
    await log.commit({ appends: [], counters: { 'a.b': 2 } });
    await log.commit({
      appends: [{ topic: beta, partition: 0, records: [recordOf('out')] }],
      offsets,
      counters: { 'a.b': 3, 'c.d': 1 },
    });
    const state = await log.describe();
    assert.deepEqual(
      state.offsets.map(({ passed: _, ...row }) => row),
      offsets,
    );
    assert.deepEqual(state.counters, { 'a.b': 5, 'c.d': 1 });
    assert.deepEqual(state.quarantined, []);
    const { bytes, endOffset, ...rest } = partitionOf(state, beta, 0);
    assert.deepEqual(
      { ...rest, isCounted: false },
      { partition: 0, startOffset: 0, records: 1, isCounted: false },
    );
    // A log may keep records of its own beside the data, such as the end of a transaction.
    assert.ok(endOffset >= 1);
    assert.ok(bytes >= 0 && state.bytes >= bytes);
  },

  'what a reader does to a value changes nothing for others': async (log, { beta }) => {
    const value = Buffer.from('kept');
    const written = log.commit({
      appends: [{ topic: beta, partition: 0, records: [{ ...recordOf(''), value }] }],
    });
    value.fill('x');
    await written;
    const [record] = await log.read(beta, 0, 0, 1);
    record!.value.fill(0);
    assert.deepEqual((await log.read(beta, 0, 0, 1)).map(textOf), ['kept']);
  },

  'a closed log refuses': async (log, { beta }) => {
    const consumer = await log.consume('group', [beta]);
    const waiting = consumer.poll({ ...POLL, waitMsMax: 20_000 });
    await log.close();
    assert.deepEqual(await waiting, []);
    const closed = { code: 'ERR_LOG_CLOSED' };
    await assert.rejects(consumer.poll(POLL), closed);
    await assert.rejects(log.commit({ appends: [] }), closed);
    await assert.rejects(log.read(beta, 0, 0, 1), closed);
    await assert.rejects(log.consume('group', [beta]), closed);
  },
};

/** What a log must do that carries marks and numbers its commits. */
export const JOURNALED_CONTRACT: Readonly<Record<string, (log: JournaledLog) => Promise<void>>> = {
  'positions grow, and the marks of a commit come back in their order': async log => {
    const append = { topic: 'beta', partition: 0, records: [recordOf('out')] };
    const before = await log.commit({ appends: [], counters: { 'a.b': 2 } });
    const { position } = await log.commit({
      appends: [append],
      offsets: [{ group: 'chain', topic: 'alpha', partition: 1, offset: 7 }],
      marks: Buffer.from('first'),
    });
    assert.ok(position > before.position);
    await log.commit({ appends: [], marks: Buffer.from('second'), offsets: [] });
    const { bytes, endOffset } = partitionOf(await log.describe(), 'beta', 0);
    assert.ok(bytes > 0 && endOffset === 1);
    const all = await marksAfter(log, 0);
    assert.deepEqual(
      all.map(entry => entry.text),
      ['first', 'second'],
    );
    assert.equal(all[0]!.position, position);
    const later = await marksAfter(log, position);
    assert.deepEqual(
      later.map(entry => entry.text),
      ['second'],
    );
  },
};

async function marksAfter(log: JournaledLog, after: number) {
  const entries: { readonly position: number; readonly text: string }[] = [];
  for await (const { position, marks } of log.marksFrom(after)) {
    entries.push({ position, text: Buffer.from(marks).toString() });
  }
  return entries;
}
