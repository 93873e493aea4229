import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { createSummariseRoute } from '../../src/jobs/summarise-route.ts';
import { depsOf, fixture, itemsOf, outcomesOf, run, topicCounts, type World } from './run-job.ts';

const job = createSummariseRoute(depsOf());
const summarise = (events: readonly Json[], rows: World['rows'] = {}) =>
  run(job, itemsOf('telemetry.derived', events), { rows });
const summary = fixture('valid/me_workflow_summary.json');

test('a workflow summary is kept as it came and routed with its master data', () => {
  const rows = { user: { '5f1d7a3c-22b8-4c0e-9a51-6e0d5b8f7c10': { usertype: 'teacher' } } };
  const result = summarise([summary], rows);
  const [outcome] = outcomesOf(result);
  assert.ok(outcome?.kind === 'emit');
  const [unique, routed] = outcome.emissions;
  assert.equal(unique?.topic, 'telemetry.derived.unique');
  assert.deepEqual(unique.event, { ...summary, flags: { summary_denorm_duplicate: false } });
  assert.equal(routed?.topic, 'druid.events.summary');
  assert.equal(routed.key, '2d8f6b1c94a0e7735b1f20c6d9ae4410');
  assert.deepEqual(routed.event['flags'], {
    summary_denorm_duplicate: false,
    device_denorm: false,
    user_denorm: true,
    content_denorm: false,
    coll_denorm: true,
    dv_processed: true,
  });
  assert.deepEqual(result.verdicts[0]?.derived, []);
  assert.equal(result.counters['summary_route_success_count'], 1);
});

test('a repeated mid is dropped; summaries without mid are all unique', () => {
  const result = summarise([summary, summary, { ...summary, mid: 7 }, { ...summary, mid: 7 }]);
  const [, second] = outcomesOf(result);
  assert.ok(second?.kind === 'drop');
  assert.equal(second.code, 'ERR_DUPLICATE');
  assert.deepEqual(second.emission?.event['flags'], { summary_denorm_duplicate: true });
  assert.equal(topicCounts(result)['telemetry.derived.unique'], 3);
  assert.equal(result.marks.length, 1);
});

test('expired and skipped summaries are dropped, their copy is kept and their mid marked', () => {
  const result = summarise([
    { ...summary, mid: 'a', ets: 1_500_000_000_000 },
    { ...summary, mid: 'b', eid: 'ME_SESSION_SUMMARY' },
  ]);
  assert.deepEqual(
    outcomesOf(result).map(outcome => outcome.kind === 'drop' && outcome.code),
    ['ERR_EXPIRED', 'ERR_SKIPPED'],
  );
  assert.deepEqual(topicCounts(result), { 'telemetry.derived.unique': 2 });
  assert.deepEqual(
    result.verdicts.map(({ derived }) => derived.length),
    [1, 1],
  );
  assert.deepEqual(
    result.marks.map(({ key }) => key),
    ['a', 'b'],
  );
});

test('a summary that fails the check is rejected without a mark and passes once corrected', () => {
  const dimensions = { ...(summary['dimensions'] as JsonObject), mode: 7 };
  const result = summarise([{ ...summary, dimensions }, { ...summary, ets: 'x' }, summary]);
  assert.deepEqual(
    outcomesOf(result).map(outcome => outcome.kind === 'reject' && [outcome.code, outcome.pointer]),
    [['ERR_SCHEMA_VIOLATION', '/dimensions/mode'], ['ERR_TIME_INVALID', '/ets'], false],
  );
  assert.equal(result.marks.length, 1);
});

test('without the check a summary of any shape is routed', () => {
  const unchecked = createSummariseRoute(depsOf({ route: { validation: false, deduplication: true } }));
  const result = run(unchecked, itemsOf('telemetry.derived', [{ ...summary, dimensions: { mode: 7 } }]));
  assert.deepEqual(topicCounts(result), { 'telemetry.derived.unique': 1, 'druid.events.summary': 1 });
});
