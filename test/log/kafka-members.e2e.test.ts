import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Consumer, GroupOffset, ServedLog } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { createTopics, freshEnvironment, openTestLog, POLL, pollAtLeast, SKIP } from './kafka-fixture.ts';
import { recordOf, textOf } from './open-log.ts';

const LEAVES = 5;
/** Members move offsets no more often than that. */
const REST_MS = 300;
const FENCED = { code: 'ERR_LOG_FENCED' };
const WAIT_MS_MAX = 30_000;
const JOINS = 5;
/** The longer run: MILLRACE_TEST_JOINS=100. */
const WIDE_JOINS = Number(process.env['MILLRACE_TEST_JOINS'] ?? 4);
/** More than the client has requests under way at once, so that a transaction is aborted with some unsent. */
const WIDE_PARTITIONS = 16;

/** An environment with 20 records in each of the two partitions of `alpha`. */
async function filledEnvironment(test: TestContext) {
  const environment = freshEnvironment();
  await createTopics(environment, { alpha: 2, beta: 1 });
  const alpha = fullTopic(environment, 'alpha');
  const first = await openTestLog(test, environment, { instance: 1, plainTopics: [alpha] });
  const second = await openTestLog(test, environment, { instance: 2, plainTopics: [alpha] });
  const records = Array.from({ length: 20 }, (_, i) => recordOf(`${i}`));
  await first.commit({ appends: [0, 1].map(partition => ({ topic: alpha, partition, records })) });
  return { environment, alpha, first, second };
}

function offsetsAfter(records: readonly LogRecord[]): readonly GroupOffset[] {
  const ends = new Map<number, GroupOffset>();
  for (const { topic, partition, offset } of records) {
    ends.set(partition, { group: 'g', topic, partition, offset: offset + 1 });
  }
  return [...ends.values()];
}

/** Polls one member, which takes part in rebalances by it, until another's promise settles. */
async function pollWhile<T>(consumer: Consumer, other: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = other.finally(() => {
    isSettled = true;
  });
  settled.catch(() => {});
  while (!isSettled) assert.deepEqual(await consumer.poll(POLL), []);
  return settled;
}

function commit(log: ServedLog, environment: string, records: readonly LogRecord[]) {
  return log.commit({
    appends: [
      { topic: fullTopic(environment, 'beta'), partition: 0, records: records.map(r => recordOf(textOf(r))) },
    ],
    offsets: offsetsAfter(records),
    counters: { 'copy.received': records.length },
  });
}

describe('log on Kafka: members of a group', { skip: SKIP }, () => {
  it('holds a partition until what it handed out is committed, then gives it to who joined', async test => {
    const { environment, alpha, first, second } = await filledEnvironment(test);
    const a = await first.consume('g', [alpha]);
    const held = await pollAtLeast(a, 40);
    const b = second.consume('g', [alpha]);
    // In the midst of the join: both partitions are still the first one's, and its work counts.
    await a.poll(POLL);
    await commit(first, environment, held);
    const joined = await pollWhile(a, b);
    const more = ['x', 'y'].map(recordOf);
    await first.commit({ appends: [0, 1].map(partition => ({ topic: alpha, partition, records: more })) });
    const [mine, other] = await Promise.all([pollAtLeast(a, 2), pollAtLeast(joined, 2)]);
    assert.deepEqual(mine.map(textOf), ['x', 'y']);
    assert.deepEqual(other.map(textOf), ['x', 'y']);
    assert.notEqual(mine[0]!.partition, other[0]!.partition);
    await commit(first, environment, mine);
    await commit(second, environment, other);
    const { counters } = await first.describe();
    assert.equal(counters['copy.received'], 44);
    await a.close();
    await joined.close();
  });

  it('commits while others join and leave: a group that is put together anew shuts nobody off', async test => {
    const { environment, alpha, first, second } = await filledEnvironment(test);
    const a = await first.consume('g', [alpha]);
    let isOver = false;
    let taken = 0;
    const working = (async () => {
      // Ends with the joins: each turn adds what the next one takes.
      while (!isOver) {
        const records = await a.poll(POLL);
        if (records.length > 0) await commit(first, environment, records);
        taken += records.length;
        const more = [recordOf('again')];
        await first.commit({
          appends: [0, 1].map(partition => ({ topic: alpha, partition, records: more })),
        });
      }
    })();
    for (let join = 0; join < JOINS; join++) {
      const b = await second.consume('g', [alpha]);
      const records = await b.poll(POLL);
      if (records.length > 0) await commit(second, environment, records);
      taken += records.length;
      await b.close();
    }
    isOver = true;
    await working;
    assert.equal((await first.describe()).counters['copy.received'], taken);
    await a.close();
  });

  it('commits to many partitions while members come and go: none of it restarts a worker', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 4, beta: WIDE_PARTITIONS });
    const [alpha, beta] = ['alpha', 'beta'].map(name => fullTopic(environment, name)) as [string, string];
    const warnings: string[] = [];
    const logger = pino({ level: 'warn' }, { write: line => void warnings.push(line) });
    const open = (instance: number) =>
      openTestLog(test, environment, { instance, plainTopics: [alpha], logger });
    const feeder = await open(0);
    let isOver = false;
    let taken = 0;
    const partitions = Array.from({ length: WIDE_PARTITIONS }, (_, partition) => partition);
    const work = async (log: ServedLog, isDone: () => boolean) => {
      const consumer = await log.consume('g', [alpha]);
      while (!isDone()) {
        const records = await consumer.poll(POLL);
        if (records.length === 0) continue;
        const copies = records.map(record => recordOf(textOf(record)));
        await log.commit({
          appends: partitions.map(partition => ({ topic: beta, partition, records: copies })),
          offsets: offsetsAfter(records),
          counters: { 'copy.received': records.length },
        });
        taken += records.length;
      }
      await consumer.close();
    };
    const feeding = (async () => {
      while (!isOver) {
        const records = [recordOf('again')];
        await feeder.commit({
          appends: [0, 1, 2, 3].map(partition => ({ topic: alpha, partition, records })),
        });
      }
    })();
    const workers = [await open(1), await open(2)].map(log => work(log, () => isOver));
    const third = await open(3);
    const coming = (async () => {
      for (let join = 0; join < WIDE_JOINS; join++) {
        let turns = 0;
        await work(third, () => turns++ >= 3);
      }
    })();
    try {
      await Promise.race([coming, ...workers]);
    } finally {
      isOver = true;
    }
    await Promise.all([feeding, coming, ...workers]);
    assert.equal((await feeder.describe()).counters['copy.received'], taken);
    const told = warnings.filter(line => /transaction/i.test(line));
    assert.deepEqual(told, [], 'what is handled is no warning');
  });

  it('refuses work on a partition that it had to let go, also where it got it back', async test => {
    const { environment, alpha, first, second } = await filledEnvironment(test);
    const a = await first.consume('g', [alpha]);
    const stale = await pollAtLeast(a, 40);
    const joining = second.consume('g', [alpha]);
    // The first one never commits: after its time it is shut off, and says so with the next call.
    await assert.rejects(
      pollWhile(
        a,
        joining.then(() => new Promise(() => {})),
      ),
      FENCED,
    );
    await assert.rejects(commit(first, environment, stale), FENCED);
    await a.close();
    const b = await joining;
    const taken = await pollAtLeast(b, 20);
    await commit(second, environment, taken);
    await b.close();
    await assert.rejects(commit(first, environment, stale), FENCED);
    await assert.rejects(commit(first, environment, stale.slice(0, 1)), FENCED);
    const { counters } = await second.describe();
    assert.equal(counters['copy.received'], taken.length);
  });

  it('shuts off who had the transactional id before', async test => {
    const { environment, alpha, first } = await filledEnvironment(test);
    const a = await first.consume('g', [alpha]);
    const records = await pollAtLeast(a, 40);
    await commit(first, environment, records.slice(0, 1));
    const successor = await openTestLog(test, environment, { instance: 1 });
    await successor.commit({ appends: [], counters: { 'copy.received': 5 } });
    await assert.rejects(commit(first, environment, records), FENCED);
    // The successor goes on from the sums of its predecessor.
    assert.equal((await successor.describe()).counters['copy.received'], 6);
  });

  it('sets offsets of groups without members, several in one commit, and of none that has some', async test => {
    const { alpha, first, second } = await filledEnvironment(test);
    const offsets = ['one', 'two'].map(group => ({ group, topic: alpha, partition: 1, offset: 15 }));
    await first.commit({ appends: [], offsets });
    const retired = { group: 'two', topic: alpha, partition: 1, offset: Number.MAX_SAFE_INTEGER };
    await second.commit({ appends: [], offsets: [retired] });
    const known = (await second.describe()).offsets.map(({ passed: _, ...row }) => row);
    assert.deepEqual(
      new Set(known.map(row => JSON.stringify(row))),
      new Set([offsets[0], retired].map(row => JSON.stringify(row))),
    );
    const reader = await second.consume('one', [alpha]);
    const read = await pollAtLeast(reader, 25);
    assert.deepEqual(
      read.filter(({ partition }) => partition === 1).map(({ offset }) => offset),
      [15, 16, 17, 18, 19],
    );
    const set = first.commit({ appends: [], offsets: [{ ...offsets[0]!, offset: 3 }] });
    await assert.rejects(pollWhile(reader, set), { code: 'ERR_NOT_READY' });
    await reader.close();
  });

  it('leaves its group when a transaction that names its place there has ended', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const topic = fullTopic(environment, 'alpha');
    const log = await openTestLog(test, environment);
    for (let turn = 0; turn < LEAVES; turn++) {
      await log.commit({ appends: [{ topic, partition: 0, records: [recordOf('a')] }], counters: { a: 1 } });
      const consumer = await log.consume('group', [topic]);
      const [record] = await pollAtLeast(consumer, 1);
      const offsets = [{ group: 'group', topic, partition: 0, offset: record!.offset + 1 }];
      await log.commit({ appends: [], offsets });
      // It moves its offset past the end of that transaction, within a transaction of its own.
      await sleep(REST_MS);
      await consumer.poll({ ...POLL, waitMsMax: 1 });
      await consumer.close();
    }
    await log.commit({ appends: [], counters: { a: 1 } });
  });

  it('moves offsets past the ends of transactions, so that the lag is 0 by arithmetic', async test => {
    const { environment, alpha, first, second } = await filledEnvironment(test);
    const a = await first.consume('g', [alpha]);
    await commit(first, environment, await pollAtLeast(a, 40));
    const beta = fullTopic(environment, 'beta');
    const b = await second.consume('h', [beta]);
    const outputs = await pollAtLeast(b, 40);
    const end = outputs.at(-1)!.offset + 1;
    await second.commit({ appends: [], offsets: [{ group: 'h', topic: beta, partition: 0, offset: end }] });
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    for (;;) {
      assert.deepEqual(await b.poll(POLL), []);
      const state = await second.describe();
      const { endOffset } = state.topics.find(({ topic }) => topic === beta)!.partitions[0]!;
      const row = state.offsets.find(({ group }) => group === 'h')!;
      assert.equal(row.passed, 40);
      assert.ok(endOffset > end);
      if (row.offset === endOffset) break;
      assert.ok(performance.now() < deadlineMs, `${row.offset} becomes ${endOffset}`);
    }
    assert.equal(b.isCaughtUp(), true);
  });
});
