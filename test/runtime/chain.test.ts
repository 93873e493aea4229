import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Item, Job, JobName, Outcome, Verdict } from '../../src/core/job.ts';
import { createDedup } from '../../src/jobs/dedup.ts';
import { runChain } from '../../src/runtime/chain.ts';
import { jsonOf } from '../../src/runtime/encode.ts';
import { depsOf } from '../jobs/run-job.ts';

const NO_READS = { isSeen: () => false, row: () => undefined };

function aJob(name: JobName, topics: { in: string[]; out: string[] }, decide: (item: Item) => Verdict): Job {
  return {
    name,
    replaces: 'nothing',
    does: 'what the test says',
    inputs: topics.in,
    outputs: topics.out,
    unreadableTopic: 'failed',
    plan: () => ({ marks: [], rows: [] }),
    process: batch => ({ verdicts: batch.map(decide), marks: [], counters: {} }),
  };
}

const emit = (topic: string, item: Item): Outcome => ({
  kind: 'emit',
  emissions: [{ topic, key: null, event: item.event }],
});
const one = (outcome: Outcome): Verdict => ({ outcomes: [outcome], derived: [] });

function anItem(offset: number, topic = 'in'): Item {
  return { topic, event: { n: offset }, source: { topic: 'in', partition: 0, offset, index: 0 }, nowMs: 5 };
}

/** `redact` takes every odd event and passes it back among the even ones; `validate` drops, rejects or emits. */
const redact = aJob('redact', { in: ['in', 'side'], out: ['side', 'main'] }, item => one(emit('main', item)));
const validate = aJob('validate', { in: ['main'], out: ['good', 'failed'] }, item => {
  const n = item.event['n'] as number;
  const emission = { topic: 'failed', key: null, event: item.event };
  if (n % 3 === 1)
    return one({ kind: 'reject', code: 'ERR_SCHEMA_VIOLATION', reason: 'r', pointer: '/n', emission });
  if (n % 3 === 2) return one({ kind: 'drop', code: 'ERR_EXPIRED', reason: 'expired', emission: null });
  return one(emit('good', item));
});

const TTL_MS = 100;
const options = {
  jobs: [redact, validate],
  ttlMs: TTL_MS,
  inputs: ['in'],
  isStored: (topic: string) => topic !== 'main',
  read: async () => NO_READS,
};

describe('runChain', () => {
  it('keeps the order of the inputs where only some events take a detour', async () => {
    const items = Array.from({ length: 9 }, (_, n) => anItem(n, n % 2 === 0 ? 'main' : 'side'));
    const result = await runChain({ ...options, inputs: ['main', 'side'].slice(1) }, items);
    assert.deepEqual(
      result.outputs.map(output => output.source.offset),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
  });

  it('counts both laws', async () => {
    const { counters, outputs } = await runChain(
      options,
      Array.from({ length: 9 }, (_, n) => anItem(n)),
    );
    assert.deepEqual(counters, {
      'edge.redact.in': 9,
      'redact.received': 9,
      'redact.emitted': 9,
      'topic.main': 9,
      'edge.validate.main': 9,
      'validate.received': 9,
      'validate.emitted': 3,
      'validate.rejected': 3,
      'validate.dropped': 3,
      'topic.good': 3,
      'topic.failed': 3,
    });
    assert.equal(outputs.filter(output => output.topic === null).length, 3);
  });

  it('writes to the log, and does not pass on, what the segment reads from the log', async () => {
    const result = await runChain({ ...options, inputs: ['in', 'main'], isStored: () => true }, [anItem(0)]);
    assert.deepEqual(
      result.outputs.map(({ topic, isLeaving }) => [topic, isLeaving]),
      [['main', true]],
    );
  });

  it('also writes a stored topic between fused jobs', async () => {
    const result = await runChain({ ...options, isStored: () => true }, [anItem(0)]);
    assert.deepEqual(
      result.outputs.map(({ topic, isLeaving }) => [topic, isLeaving]),
      [
        ['main', false],
        ['good', true],
      ],
    );
  });

  it('rejects the one event a job throws on, with its stack, and passes its neighbours', async () => {
    const throwing = aJob('validate', { in: ['in'], out: ['good'] }, item => {
      if (item.event['n'] === 5) throw new Error('cannot do five');
      return one(emit('good', item));
    });
    const { outputs, counters } = await runChain(
      { ...options, jobs: [throwing] },
      Array.from({ length: 8 }, (_, n) => anItem(n)),
    );
    assert.deepEqual([counters['validate.emitted'], counters['validate.rejected']], [7, 1]);
    const bug = outputs.find(output => output.outcome === 'reject')!;
    assert.deepEqual([bug.code, bug.topic, bug.source.offset], ['ERR_JOB_BUG', 'failed', 5]);
    assert.match(bug.reason!, /cannot do five/);
  });

  it('lets a mark run out as ever where it cuts the batch to find the event a job throws on', async () => {
    const dedup = createDedup(depsOf({ dedup: { producers: ['p'], ttlMs: TTL_MS } }));
    const throwing: Job = {
      ...dedup,
      inputs: ['in'],
      process(batch, reads) {
        if (batch.some(({ event }) => event['mid'] === 'bad')) throw new Error('cannot do this one');
        return dedup.process(batch, reads);
      },
    };
    const seenAt = (mid: string, nowMs: number): Item => ({
      ...anItem(nowMs),
      event: { mid, at: nowMs, context: { pdata: { id: 'p' } } },
      nowMs,
    });
    const times = [0, TTL_MS - 1, TTL_MS, 2 * TTL_MS - 1, 2 * TTL_MS];
    const judge = async (items: readonly Item[]) => {
      const { outputs, marks } = await runChain({ ...options, jobs: [throwing] }, items);
      const judged = outputs.map(({ topic, event }) => [topic, event['mid'], event['at']]);
      return { judged: judged.filter(([, mid]) => mid === 'a'), marks };
    };
    const whole = await judge(times.map(at => seenAt('a', at)));
    assert.deepEqual(
      whole.marks.map(mark => mark.timeMs),
      [0, TTL_MS, 2 * TTL_MS],
    );
    for (let cut = 0; cut <= times.length; cut++) {
      const items = times.map(at => seenAt('a', at));
      items.splice(cut, 0, seenAt('bad', times[cut] ?? 2 * TTL_MS));
      assert.deepEqual(await judge(items), whole, `the event to find is the ${cut}th`);
    }
  });

  it('refuses a job that answers twice or not at all', async () => {
    const silent: Job = {
      ...validate,
      inputs: ['in'],
      process: () => ({ verdicts: [], marks: [], counters: {} }),
    };
    await assert.rejects(runChain({ ...options, jobs: [silent] }, [anItem(0)]), /answers each input once/);
  });

  it('gives each event of an opened batch its own index, and its audit the next one', async () => {
    const extract = aJob('extract', { in: ['in'], out: ['good'] }, item => ({
      outcomes: [emit('good', item), emit('good', item)],
      derived: [{ topic: 'good', key: null, event: {} }],
    }));
    const { outputs } = await runChain({ ...options, jobs: [extract] }, [anItem(3)]);
    assert.deepEqual(
      outputs.map(output => [output.source.offset, output.source.index, output.isDerived]),
      [
        [3, 0, false],
        [3, 1, false],
        [3, 2, true],
      ],
    );
  });
});

describe('jsonOf', () => {
  const text = jsonOf;

  it('drops null members at any depth and keeps nulls in lists', () => {
    assert.equal(
      text({ a: null, b: { c: null, d: 1 }, e: [null, { f: null }] }),
      '{"b":{"d":1},"e":[null,{}]}',
    );
  });

  it('keeps text that only looks like a null, integers and odd names', () => {
    const event = JSON.parse('{"a":"x:null","ets":1587320969614,"__proto__":{"b":null}}');
    assert.equal(text(event), '{"a":"x:null","ets":1587320969614,"__proto__":{}}');
  });
});
