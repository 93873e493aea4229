import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { createRedact } from '../../src/jobs/redact.ts';
import { depsOf, emissionsOf, fixture, itemsOf, run, topicCounts } from './run-job.ts';

const job = createRedact(depsOf());
const assess = fixture('valid/assess.json');
const response = fixture('valid/response.json');
const QUESTION = 'do_31288031559106560011';
const TARGET = 'do_31288031559106560012';

const redact = (events: readonly Json[], content: Readonly<Record<string, JsonObject>> = {}) =>
  run(job, itemsOf('telemetry.assess.redact', events), { rows: { content } });

test('answers to registration questions are emptied, the event as it came is kept apart', () => {
  const rows = { [QUESTION]: { questionType: 'registration' }, [TARGET]: { questionType: 'Registration' } };
  const result = redact([assess, response], rows);
  assert.deepEqual(
    emissionsOf(result).map(({ topic, key }) => [topic, key]),
    ['telemetry.raw', 'telemetry.assess.raw', 'telemetry.raw', 'telemetry.assess.raw'].map(topic => [
      topic,
      '2d8f6b1c94a0e7735b1f20c6d9ae4410',
    ]),
  );
  const [redacted, whole, redactedToo, wholeToo] = emissionsOf(result).map(({ event }) => event);
  assert.deepEqual(redacted, { ...assess, edata: { ...(assess['edata'] as JsonObject), resvalues: [] } });
  assert.deepEqual(redactedToo, { ...response, edata: { ...(response['edata'] as JsonObject), values: [] } });
  assert.deepEqual([whole, wholeToo], [assess, response]);
  assert.equal(result.verdicts[0]?.derived.length, 1);
  assert.deepEqual(result.counters, { cache_hit_count: 2 });
});

test('other questions, and those that do not tell their type, pass as they are', () => {
  const result = redact([assess, response], { [QUESTION]: { questionType: 'mcq' }, [TARGET]: { name: 'x' } });
  assert.deepEqual(topicCounts(result), { 'telemetry.raw': 2 });
  assert.deepEqual(
    emissionsOf(result).map(({ event }) => event),
    [assess, response],
  );
  assert.deepEqual(result.counters, { cache_hit_count: 1, cache_miss_count: 1 });
});

test('an event that names no question is counted as skipped and passes', () => {
  const odd = [
    { eid: 'ASSESS' },
    { eid: 'ASSESS', edata: null },
    { eid: 'ASSESS', edata: { item: [] } },
    { eid: 'ASSESS', edata: { item: { id: 7 } } },
    { eid: 'RESPONSE', edata: { target: {} } },
  ];
  const result = redact(odd);
  assert.deepEqual(
    emissionsOf(result).map(({ event }) => event),
    odd,
  );
  assert.deepEqual(result.counters, { skipped_event_count: 5 });
});

test('events of other eids pass uncounted', () => {
  const result = redact([fixture('valid/end.json'), {}]);
  assert.deepEqual(topicCounts(result), { 'telemetry.raw': 2 });
  assert.deepEqual(result.counters, {});
});
