import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { isObject, type Json, type JsonObject } from '../../src/core/event.ts';
import type { Item, Job, JobResult, Mark } from '../../src/core/job.ts';
import { createJobs } from '../../src/jobs/index.ts';
import { depsOf, fixture, freeze, itemsOf, NOW_MS, OPTIONS, run, type World } from './run-job.ts';

const jobs = createJobs(depsOf());
const FIXTURES = readdirSync(new URL('../../fixtures/valid/', import.meta.url)).map(name =>
  fixture(`valid/${name}`),
);

const KEYS = [
  'eid',
  'mid',
  'ets',
  'flags',
  'actor',
  'context',
  'pdata',
  'object',
  'rollup',
  'edata',
  'params',
  'id',
];

/** Any JSON, with the names that jobs read more often than chance would have them, and hostile ones. */
const anyJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Json>(
      null,
      true,
      0,
      -1,
      1e300,
      '',
      'x',
      'User',
      'dialcode',
      NOW_MS,
      'ERROR',
      'SHARE',
      'ASSESS',
    ),
    fc.string(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.constantFrom(...KEYS, '__proto__', 'constructor', 'items', 'msgid'), tie('value')), {
        maxLength: 5,
      })
      .map(entries => Object.fromEntries(entries) as JsonObject),
  ),
})).value;

/** A valid event one of whose members, at the top or below it, is anything; its mid is one of three. */
const almostEvent: fc.Arbitrary<JsonObject> = fc
  .tuple(
    fc.constantFrom(...FIXTURES),
    fc.constantFrom('m1', 'm2', 'm3'),
    fc.constantFrom(...KEYS, 'dimensions', 'none'),
    fc.constantFrom(...KEYS, 'none'),
    anyJson,
  )
  .map(([event, mid, key, inner, value]) => {
    const sent = { ...event, mid };
    if (key === 'none') return sent;
    const member = event[key];
    return { ...sent, [key]: isObject(member) && inner !== 'none' ? { ...member, [inner]: value } : value };
  });

const anyEvent = fc.oneof(almostEvent, anyJson.filter(isObject));

/** A batch of a client: well-formed for the most part; its msgid is one of three. */
const anyBatch: fc.Arbitrary<JsonObject> = fc
  .record(
    {
      params: fc.oneof(fc.record({ msgid: fc.constantFrom('a', 'b', 'c') }) as fc.Arbitrary<Json>, anyJson),
      events: fc.oneof(fc.array(fc.oneof(anyEvent, anyJson), { maxLength: 4 }), anyJson),
      syncts: anyJson,
      mid: anyJson,
    },
    { requiredKeys: [] },
  )
  .map(batch => batch as JsonObject);

/** Rows for the keys of the fixtures, of any content. */
const anyWorld: fc.Arbitrary<World> = fc
  .array(anyJson.filter(isObject), { minLength: 8, maxLength: 8 })
  .map(rows => {
    const [device, user, ...others] = rows as [JsonObject, JsonObject, ...JsonObject[]];
    const hashes = { city: 'x', state: [], devicespec: '{', firstaccess: {}, user_declared_state: 7 };
    return freeze({
      rows: {
        device: { '2d8f6b1c94a0e7735b1f20c6d9ae4410': { ...hashes, ...device } },
        user: { '5f1d7a3c-22b8-4c0e-9a51-6e0d5b8f7c10': { ...user, grade: '[', state: 7 } },
        content: {
          do_31301254988174131211: { ...others[0], lastUpdatedOn: 'x', language: 7 },
          do_31307360997695488012: { ...others[1], questionType: [] },
          do_31288031559106560011: { ...others[2], questionType: 'Registration' },
        },
        dialcode: { K7M2Q9: { ...others[3], generated_on: 'x' }, X: others[4]! },
      },
    });
  });

/** Times that move on by up to half a TTL, so that marks run out within a batch. */
const anyTimes = fc.array(fc.nat({ max: OPTIONS.dedup.ttlMs / 2 }), { minLength: 12, maxLength: 12 });

interface Trial {
  readonly job: Job;
  readonly items: readonly Item[];
  readonly world: World;
}

const anyTrial: fc.Arbitrary<Trial> = fc.constantFrom(...jobs).chain(job =>
  fc
    .tuple(
      fc.array(job.name === 'extract' ? anyBatch : anyEvent, { maxLength: 12 }),
      anyTimes,
      anyWorld,
      fc.constantFrom(...job.inputs),
    )
    .map(([events, steps, world, topic]) => {
      const nowMs = (index: number): number =>
        NOW_MS + steps.slice(0, index).reduce((sum, step) => sum + step, 0);
      return { job, items: itemsOf(topic, events, nowMs), world };
    }),
);

const NUM_RUNS = { numRuns: 600 };

test('each event has one outcome, on declared topics, with text and pointer; nothing throws or is mutated', () => {
  fc.assert(
    fc.property(anyTrial, ({ job, items, world }) => {
      const { verdicts, counters } = run(job, items, world);
      assert.equal(verdicts.length, items.length);
      for (const [i, { outcomes, derived }] of verdicts.entries()) {
        const held = job.name === 'extract' ? eventsHeld(items[i]!, outcomes[0]?.kind) : 1;
        assert.equal(outcomes.length, held);
        for (const outcome of outcomes) {
          if (outcome.kind !== 'emit') assert.ok(outcome.reason.length > 0);
          if (outcome.kind === 'reject')
            assert.ok(outcome.pointer === null || /^(\/|$)/.test(outcome.pointer));
          const own = outcome.kind === 'emit' ? outcome.emissions : [outcome.emission];
          for (const sent of [...own, ...derived])
            assert.ok(sent === null || job.outputs.includes(sent.topic));
        }
      }
      assert.ok(Object.values(counters).every(count => Number.isInteger(count) && count > 0));
    }),
    NUM_RUNS,
  );
});

/** How many events a batch counts for: those it holds, one where it is unreadable or an empty duplicate. */
function eventsHeld(item: Item, firstKind: string | undefined): number {
  const events = item.event['events'] ?? [];
  const count = Array.isArray(events) ? events.length : 0;
  const isSetAside = firstKind === 'drop' || (firstKind === 'reject' && !isReadable(item.event));
  return isSetAside ? (firstKind === 'drop' ? Math.max(1, count) : 1) : count;
}

function isReadable(batch: JsonObject): boolean {
  const params = batch['params'] ?? {};
  const msgid = isObject(params) && Object.hasOwn(params, 'msgid') ? (params['msgid'] ?? '') : '';
  return isObject(params) && typeof msgid === 'string' && Array.isArray(batch['events'] ?? []);
}

test('the same batch gives the same answer', () => {
  fc.assert(
    fc.property(anyTrial, ({ job, items, world }) => {
      const again = createJobs(depsOf()).find(({ name }) => name === job.name)!;
      assert.deepEqual(run(again, items, world), run(job, items, world));
    }),
    NUM_RUNS,
  );
});

test('the answer does not depend on where a batch is cut', () => {
  fc.assert(
    fc.property(anyTrial, fc.array(fc.nat({ max: 12 }), { maxLength: 3 }), ({ job, items, world }, cuts) => {
      const whole = run(job, items, world);
      const edges = [0, ...cuts.map(cut => Math.min(cut, items.length)).sort((a, b) => a - b), items.length];
      const marks: Mark[] = [];
      const parts = edges.slice(1).map((to, i): JobResult => {
        const part = run(job, items.slice(edges[i], to), { ...world, marks });
        marks.push(...part.marks);
        return part;
      });
      assert.deepEqual(
        parts.flatMap(({ verdicts }) => verdicts),
        whole.verdicts,
      );
      assert.deepEqual(marks, whole.marks);
      assert.deepEqual(sumOf(parts), whole.counters);
    }),
    NUM_RUNS,
  );
});

function sumOf(parts: readonly JobResult[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { counters } of parts) {
    for (const [name, delta] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + delta;
  }
  return sum;
}

test('the deepest nesting and the widest array do no harm', () => {
  let deep: Json = {};
  for (let depth = 0; depth < 50_000; depth += 1) deep = depth % 2 === 0 ? [deep] : { a: deep };
  const wide: Json = new Array(100_000).fill(null);
  for (const [name, odd] of Object.entries({ deep, wide })) {
    for (const job of jobs) {
      for (const key of [
        'edata',
        'object',
        'context',
        'flags',
        'contentdata',
        'events',
        'params',
        'surplus',
      ]) {
        const event = { ...FIXTURES[0], [key]: odd };
        const sent = job.name === 'extract' ? { events: [event], [key]: odd } : event;
        const item = { ...itemsOf(job.inputs[0]!, [{}])[0]!, event: sent };
        const reads = { isSeen: () => false, row: () => undefined };
        const { verdicts } = job.process([item], reads);
        assert.equal(verdicts.length, 1, `${job.name} ${name} ${key}`);
        assert.doesNotThrow(() => job.plan([item]));
      }
    }
  }
});
