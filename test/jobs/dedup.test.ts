import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { createDedup } from '../../src/jobs/dedup.ts';
import { depsOf, fixture, fixtureLines, itemsOf, NOW_MS, outcomesOf, run, topicCounts } from './run-job.ts';

const job = createDedup(depsOf());
const dedup = (events: readonly Json[]) => run(job, itemsOf('telemetry.valid', events));
const start = fixture('valid/start.json');

test('a mid of a covered producer passes once; other producers are not looked at', () => {
  const result = dedup(fixtureLines('duplicate/same-mid.jsonl'));
  assert.deepEqual(topicCounts(result), { 'telemetry.deduplicated': 3, 'telemetry.duplicate': 1 });
  const [first, second, third] = outcomesOf(result);
  assert.deepEqual(first?.kind === 'emit' && first.emissions[0]?.event, start);
  assert.ok(second?.kind === 'drop');
  assert.equal(second.code, 'ERR_DUPLICATE');
  assert.deepEqual(second.emission?.event, { ...start, flags: { pp_duplicate: true } });
  assert.deepEqual(third?.kind === 'emit' && third.emissions[0]?.event['flags'], {
    pp_duplicate_skipped: true,
  });
  assert.deepEqual(result.counters, {
    unique_event_count: 3,
    duplicate_event_count: 1,
    duplicate_skipped_event_count: 2,
  });
});

test('a mark says where and when its key was first seen', () => {
  const items = itemsOf('telemetry.valid', [start, { ...start, mid: 'other' }]);
  assert.deepEqual(
    run(job, items).marks,
    items.map(({ event, source }) => ({ space: 'event', key: event['mid'], source, timeMs: NOW_MS })),
  );
});

test('a mark that lives makes a duplicate, one that ran out does not', () => {
  const source = { topic: 'telemetry.ingest', partition: 0, offset: 0, index: 0 };
  for (const [ageMs, kind] of [
    [0, 'drop'],
    [3_599_999, 'drop'],
    [3_600_000, 'emit'],
  ] as const) {
    const key = String(start['mid']);
    const marks = [{ space: 'event', key, source, timeMs: NOW_MS - ageMs } as const];
    const result = run(job, itemsOf('telemetry.valid', [start]), { marks });
    assert.equal(outcomesOf(result)[0]?.kind, kind, `${ageMs} ms`);
    assert.equal(result.marks.length, kind === 'emit' ? 1 : 0);
  }
});

test('the time to live holds within a batch too', () => {
  const at = (index: number): number => NOW_MS + [0, 3_599_999, 3_600_000, 7_199_999][index]!;
  const result = run(job, itemsOf('telemetry.valid', [start, start, start, start], at));
  assert.deepEqual(
    outcomesOf(result).map(({ kind }) => kind),
    ['emit', 'drop', 'emit', 'drop'],
  );
  assert.deepEqual(
    result.marks.map(({ timeMs }) => timeMs - NOW_MS),
    [0, 3_600_000],
  );
});

test('an event of a covered producer without mid is rejected', () => {
  for (const name of ['mid-missing', 'mid-number']) {
    const event = fixture(`invalid/ERR_DEDUP_KEY_MISSING/${name}.json`);
    const [outcome] = outcomesOf(dedup([event]));
    assert.ok(outcome?.kind === 'reject');
    assert.deepEqual([outcome.code, outcome.pointer], ['ERR_DEDUP_KEY_MISSING', '/mid']);
    assert.equal(outcome.emission.topic, 'telemetry.failed');
    assert.equal((outcome.emission.event['metadata'] as JsonObject)['validation_error'], '/mid');
  }
});
