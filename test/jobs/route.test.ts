import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import type { JobOptions } from '../../src/core/job.ts';
import { createRoute } from '../../src/jobs/route.ts';
import { depsOf, emissionsOf, fixture, itemsOf, outcomesOf, run, topicCounts } from './run-job.ts';

const route = (
  events: readonly Json[],
  options: JobOptions['route'] = { validation: true, deduplication: true },
) => run(createRoute(depsOf({ route: options })), itemsOf('telemetry.denorm', events));

const end = fixture('valid/end.json');
const bad = { ...end, mid: 'bad', contentdata: { name: 7 } };

test('each eid has its last topic, the key is the mid', () => {
  const events = ['end', 'error', 'me_workflow_summary', 'search'].map(name => fixture(`valid/${name}.json`));
  const result = route(events);
  assert.deepEqual(
    emissionsOf(result).map(({ topic, key }) => [topic, key]),
    ['druid.events.telemetry', 'druid.events.error', 'druid.events.summary', 'druid.events.telemetry'].map(
      (topic, i) => [topic, events[i]?.['mid']],
    ),
  );
  assert.deepEqual(emissionsOf(result)[0]?.event, { ...end, flags: { dv_processed: true } });
  assert.deepEqual(result.counters, {
    unique_event_count: 4,
    validation_success_message_count: 4,
    telemetry_route_success_count: 2,
    error_route_success_count: 1,
    summary_route_success_count: 1,
  });
});

test('a mid passes once, whoever produced it', () => {
  const result = route([end, end]);
  const [, second] = outcomesOf(result);
  assert.ok(second?.kind === 'drop');
  assert.equal(second.code, 'ERR_DUPLICATE');
  assert.deepEqual(
    [second.emission?.topic, second.emission?.key, second.emission?.event],
    ['telemetry.duplicate', end['mid'], { ...end, flags: { dv_duplicate: true } }],
  );
  assert.equal(result.marks.length, 1);
});

test('an event that fails the check leaves no mark, so it passes once corrected', () => {
  const result = route([bad, { ...bad, contentdata: { name: 'seven' } }]);
  assert.deepEqual(topicCounts(result), { 'telemetry.failed': 1, 'druid.events.telemetry': 1 });
  assert.equal(result.marks.length, 1);
  const [first] = outcomesOf(result);
  assert.ok(first?.kind === 'reject');
  assert.deepEqual([first.code, first.pointer], ['ERR_SCHEMA_VIOLATION', '/contentdata/name']);
  assert.deepEqual(first.emission.event, {
    ...bad,
    flags: { dv_processed: false, dv_validation_failed: true },
    metadata: { dv_error: '/contentdata/name', src: 'DruidValidator' },
  });
  assert.equal(result.counters['validation_failed_message_count'], 1);
});

test('an event without mid is rejected, not taken for a duplicate', () => {
  const [outcome] = outcomesOf(route([{ eid: 'END' }]));
  assert.ok(outcome?.kind === 'reject');
  assert.deepEqual(
    [outcome.code, outcome.pointer, outcome.emission.key],
    ['ERR_DEDUP_KEY_MISSING', '/mid', null],
  );
});

test('each half can be switched off', () => {
  const unchecked = route([bad, bad], { validation: false, deduplication: true });
  assert.deepEqual(topicCounts(unchecked), { 'druid.events.telemetry': 1, 'telemetry.duplicate': 1 });
  assert.deepEqual(emissionsOf(unchecked)[0]?.event, bad);
  const repeated = route([end, end, { eid: 'END' }], { validation: true, deduplication: false });
  assert.deepEqual(topicCounts(repeated), { 'druid.events.telemetry': 3 });
  assert.deepEqual(repeated.marks, []);
  assert.equal(repeated.counters['unique_event_count'], undefined);
});

test('the check names the alternative that got furthest', () => {
  const pointerOf = (dialcodedata: Json): unknown => {
    const [outcome] = outcomesOf(route([{ ...end, dialcodedata }]));
    return outcome?.kind === 'reject' ? outcome.pointer : null;
  };
  assert.equal(pointerOf({ identifier: 'x' }), null);
  assert.equal(pointerOf([{ identifier: 'x' }]), null);
  assert.equal(pointerOf({ generatedon: 'x' }), '/dialcodedata/generatedon');
  assert.equal(pointerOf([{ identifier: 'x' }, { generatedon: 'x' }]), '/dialcodedata/1/generatedon');
  assert.equal(pointerOf(7), '/dialcodedata');
});

test('SEARCH has a closed edata, a summary its own shape', () => {
  const pointerOf = (event: JsonObject): unknown => {
    const [outcome] = outcomesOf(route([event]));
    return outcome?.kind === 'reject' ? outcome.pointer : null;
  };
  const search = fixture('valid/search.json');
  const edata = search['edata'] as JsonObject;
  assert.equal(pointerOf({ ...search, edata: { ...edata, surplus: 1 } }), '/edata/surplus');
  assert.equal(pointerOf({ ...search, edata: { ...edata, size: '1' } }), '/edata/size');
  const summary = fixture('valid/me_workflow_summary.json');
  assert.equal(pointerOf({ ...summary, syncts: undefined }), '/syncts');
  assert.equal(pointerOf({ ...summary, dimensions: { pdata: {} } }), '/dimensions/pdata/id');
  assert.equal(pointerOf({ ...summary, userdata: { usersignintype: 1 } }), null);
  assert.equal(pointerOf({ ...end, userdata: { usersignintype: 1 } }), '/userdata/usersignintype');
});
