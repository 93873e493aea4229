import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { type JsonObject, midOf, objectAt, valueAt } from '../../src/core/event.ts';
import type { JobOptions } from '../../src/core/job.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { createJobs } from '../../src/jobs/index.ts';
import { readPlanned, runRecords } from '../../src/runtime/batch.ts';
import type { ChainOutput } from '../../src/runtime/chain.ts';
import { GOLDEN_COUNTS, goldenCache, goldenMissing, goldenPath } from '../e2e/golden-data.ts';
import { depsOf, OPTIONS } from './run-job.ts';

/** What a whole run leaves: outputs in order, and the sum of the counters. */
interface Run {
  readonly outputs: readonly ChainOutput[];
  readonly counters: Readonly<Record<string, number>>;
}

/** Runs the lines of a file through all jobs as one chain, a batch a line. */
async function runFile(
  name: string,
  now: string,
  { topic = 'telemetry.ingest', withCache = false } = {},
): Promise<Run> {
  const options: JobOptions = {
    ...OPTIONS,
    dedup: { producers: ['dev.sunbird.portal', 'dev.sunbird.desktop'], ttlMs: 3_600_000 },
  };
  const state = createMemoryState(options.dedup.ttlMs);
  const rows = new Map<string, JsonObject>();
  for (const [dataset, fixtures] of Object.entries(withCache ? goldenCache() : {})) {
    for (const { key, value } of fixtures) rows.set(`${dataset} ${key}`, value);
  }
  const cache = {
    get: async (keys: readonly { dataset: string; key: string }[]) =>
      keys.map(({ dataset, key }) => rows.get(`${dataset} ${key}`)),
  };
  const chain = {
    jobs: createJobs(depsOf(options)),
    inputs: ['telemetry.ingest', 'telemetry.derived'],
    isStored: () => true,
    ttlMs: options.dedup.ttlMs,
    read: readPlanned.bind(null, { state, cache }),
  };
  const outputs: ChainOutput[] = [];
  const counters: Record<string, number> = {};
  for (const record of recordsOf(name, `local.${topic}`, Date.parse(now))) {
    const result = await runRecords(chain, 'local', [record]);
    await state.mark(result.marks);
    outputs.push(...result.outputs);
    for (const [counter, delta] of Object.entries(result.counters)) {
      counters[counter] = (counters[counter] ?? 0) + delta;
    }
  }
  return { outputs, counters };
}

function recordsOf(name: string, topic: string, timeMs: number): readonly LogRecord[] {
  const lines = readFileSync(goldenPath(name), 'utf8')
    .split('\n')
    .filter(line => line.trim() !== '');
  return lines.map((line, offset) => ({
    topic,
    partition: 0,
    offset,
    key: null,
    timeMs,
    headers: {},
    value: Buffer.from(line, 'utf8'),
  }));
}

function assertTopics(run: Run, wanted: Readonly<Record<string, number>>): void {
  const counted = Object.fromEntries(
    Object.keys(wanted).map(name => [name, run.counters[`topic.${name}`] ?? 0]),
  );
  assert.deepEqual(counted, wanted);
}

/** How many events on the last topics (errors included) carry a flag of that value. */
function flagged(run: Run, flag: string, value: boolean): number {
  const denormalised = run.outputs.filter(({ topic }) => topic?.startsWith('telemetry.denorm') === true);
  return denormalised.filter(({ event }) => valueAt(event, 'flags', flag) === value).length;
}

const skip = goldenMissing;

test('golden batches: the counts of the newest generation', { skip }, async () => {
  const run = await runFile('flink_golden_dataset.json', '2020-04-23T00:00:00Z', { withCache: true });
  // The records of the input topic are what was put there, not what a job emitted.
  const { 'telemetry.ingest': _, ...counts } = GOLDEN_COUNTS;
  assertTopics(run, { ...counts, 'telemetry.log': 1, 'telemetry.denorm.error': 1 });
  assert.equal(run.counters['dedup.duplicate_event_count'], 1);
  assert.equal(run.counters['route.duplicate_event_count'], 2);
  assert.equal(run.counters['denormalise.events_expired'], 1);
  assert.equal(run.counters['denormalise.events_skipped'], 1);
  const flags = ['device', 'content', 'dialcode', 'user', 'coll', 'l2'].map(name => `${name}_denorm`);
  assert.deepEqual(
    flags.map(flag => flagged(run, flag, true)),
    [3, 1, 1, 3, 5, 3],
  );
});

test('golden batches: what became of each event', { skip }, async () => {
  const run = await runFile('flink_golden_dataset.json', '2020-04-23T00:00:00Z', { withCache: true });
  const endings = run.outputs.filter(({ isLeaving, isDerived }) => isLeaving && !isDerived);
  const endingsOf = (offset: number, index: number): readonly string[] =>
    endings
      .filter(({ source }) => source.offset === offset && source.index === index)
      .map(({ job, topic, code, pointer }) => [job, topic, code, pointer].filter(Boolean).join(' '))
      .filter(ending => !ending.startsWith('flatten '));
  const druid = ['route druid.events.telemetry'];
  assert.deepEqual(
    Array.from({ length: 15 }, (_, index) => endingsOf(0, index)),
    [
      ['route druid.events.error'],
      ['validate druid.events.log'],
      druid,
      ['validate telemetry.failed ERR_SCHEMA_VIOLATION /edata/item/id'],
      ['route telemetry.duplicate ERR_DUPLICATE'],
      druid,
      ['validate telemetry.failed ERR_SCHEMA_VIOLATION /edata/target/id'],
      druid,
      ['validate telemetry.failed ERR_SCHEMA_VIOLATION /context'],
      druid,
      ['denormalise ERR_EXPIRED'],
      druid,
      druid,
      druid,
      ['route telemetry.duplicate ERR_DUPLICATE'],
    ],
  );
  assert.deepEqual(
    Array.from({ length: 5 }, (_, index) => endingsOf(1, index)),
    [druid, ['dedup telemetry.duplicate ERR_DUPLICATE'], ['denormalise ERR_SKIPPED'], druid, druid],
  );
  assert.deepEqual(endingsOf(2, 0), ['extract telemetry.extractor.duplicate ERR_DUPLICATE']);
});

test('golden batches: the values that denormalisation adds', { skip }, async () => {
  const run = await runFile('flink_golden_dataset.json', '2020-04-23T00:00:00Z', { withCache: true });
  const routed = run.outputs
    .filter(({ topic }) => topic === 'druid.events.telemetry')
    .map(({ event }) => event);
  const withMid = (part: string): JsonObject | undefined =>
    routed.find(event => midOf(event)?.includes(part));
  const content = objectAt(withMid('3506eb5a'), 'contentdata');
  assert.deepEqual(
    [content?.['lastupdatedon'], content?.['lastpublishedon']],
    [1_583_151_752_206, 1_583_151_752_363],
  );
  assert.equal(valueAt(withMid('61e9927b'), 'dialcodedata', 'generatedon'), 1_535_972_978_850);
  const impression = withMid('b8eda018');
  const device = objectAt(impression, 'devicedata');
  assert.deepEqual(
    ['firstaccess', 'state', 'userdeclared', 'iso3166statecode'].map(name => device?.[name]),
    [1_587_283_462_495, 'Punjab', { state: 'Himachal Pradesh', district: 'Kangra' }, ''],
  );
  assert.deepEqual(impression?.['derivedlocationdata'], {
    state: 'Himachal Pradesh',
    district: 'Kangra',
    from: 'user-profile',
  });
  const items = routed.filter(event => event['eid'] === 'SHARE_ITEM');
  assert.deepEqual(
    items.map(item => [
      valueAt(item, 'edata', 'type'),
      valueAt(item, 'edata', 'size'),
      valueAt(item, 'flags', 'coll_denorm'),
    ]),
    [
      ['File', 0, undefined],
      ['File', 0, true],
      ['File', 0, true],
    ],
  );
  const search = routed.find(event => event['eid'] === 'SEARCH');
  const filters = objectAt(search, 'edata', 'filters') ?? {};
  assert.deepEqual(['dialCodes' in filters, 'dialcodes' in filters], [false, true]);
});

test('golden batches: the audit LOGs', { skip }, async () => {
  const run = await runFile('flink_golden_dataset.json', '2020-04-23T00:00:00Z', { withCache: true });
  const logs = run.outputs.filter(({ topic, isDerived }) => topic === 'druid.events.log' && isDerived);
  assert.deepEqual(
    logs.map(({ event }) => [
      valueAt(event, 'context', 'channel'),
      (valueAt(event, 'edata', 'params') as readonly JsonObject[])[0]?.['events_count'],
    ]),
    [
      ['in.sunbird', 15],
      ['ntp', 5],
    ],
  );
});

test('older batches of 2018, the last line cut short', { skip }, async () => {
  const run = await runFile('pipeline_test_data.json', '2018-09-01T00:00:00Z');
  assertTopics(run, {
    'telemetry.raw': 17,
    'telemetry.extractor.failed': 1,
    'telemetry.failed': 1,
    'druid.events.log': 5,
    'telemetry.error': 1,
    'telemetry.unique.primary': 6,
    'telemetry.unique.secondary': 10,
    'telemetry.denorm': 16,
    'druid.events.telemetry': 16,
    'druid.events.error': 1,
  });
  assert.deepEqual(
    ['device_denorm', 'user_denorm', 'content_denorm'].map(flag => flagged(run, flag, false)),
    [17, 12, 13],
  );
  assert.equal(flagged(run, 'coll_denorm', true), 9);
});

test('session summaries are kept and not denormalised', { skip }, async () => {
  const run = await runFile('sample_summary_events.json', '2018-09-01T00:00:00Z', {
    topic: 'telemetry.derived',
  });
  assertTopics(run, { 'telemetry.derived.unique': 5, 'druid.events.summary': 0, 'telemetry.failed': 0 });
  assert.equal(run.counters['summarise-route.events_skipped'], 5);
});
