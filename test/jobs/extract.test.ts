import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, objectAt } from '../../src/core/event.ts';
import { createExtract } from '../../src/jobs/extract.ts';
import {
  depsOf,
  emissionsOf,
  fixture,
  fixtureLines,
  itemsOf,
  NOW_MS,
  outcomesOf,
  run,
  topicCounts,
  verdictOf,
} from './run-job.ts';

const job = createExtract(depsOf());
const extract = (batches: readonly JsonObject[]) => run(job, itemsOf('telemetry.ingest', batches));

const names = ['start', 'assess', 'response', 'log', 'interact'];
const batch = {
  id: 'api.sunbird.telemetry',
  mid: 'batch-1',
  channel: 'in.school',
  syncts: 1_718_000_400_500,
  params: { msgid: 'm1', did: 'device-1' },
  events: names.map(name => fixture(`valid/${name}.json`)),
};

test('a batch opens into its events, each on the topic of its eid', () => {
  const result = extract([batch]);
  const topics = outcomesOf(result).map(outcome => outcome.kind === 'emit' && outcome.emissions[0]?.topic);
  assert.deepEqual(topics, [
    'telemetry.raw',
    'telemetry.assess.redact',
    'telemetry.assess.redact',
    'telemetry.log',
    'telemetry.raw',
  ]);
  const [first] = emissionsOf(result);
  assert.equal(first?.key, '2d8f6b1c94a0e7735b1f20c6d9ae4410');
  assert.equal(first?.event['syncts'], 1_718_000_400_500);
  assert.equal(first?.event['@timestamp'], '2024-06-10T06:20:00.500Z');
  assert.deepEqual(first?.event['flags'], { ex_processed: true });
  assert.deepEqual(result.counters, {
    success_batch_count: 1,
    unique_event_count: 1,
    success_event_count: 5,
    audit_event_count: 1,
  });
});

test('LOG is told in any case, the events to be redacted by their exact name', () => {
  const events = [{ eid: 'Log' }, { eid: 'assess' }, { eid: 7 }, {}];
  assert.deepEqual(topicCounts(extract([{ events }])), {
    'telemetry.log': 1,
    'telemetry.raw': 3,
    'druid.events.log': 1,
  });
});

test('each batch leaves an audit LOG with its own mid, channel and device', () => {
  const [verdict] = extract([batch]).verdicts;
  const log = verdict?.derived[0];
  assert.equal(log?.topic, 'druid.events.log');
  assert.equal(log?.key, 'device-1');
  const { sid, ...context } = objectAt(log?.event, 'context') ?? {};
  const { id, ...object } = objectAt(log?.event, 'object') ?? {};
  assert.match(`${sid} ${id}`, /^[0-9a-f-]{36} [0-9a-f-]{36}$/);
  assert.deepEqual(context, {
    channel: 'in.school',
    env: 'data-pipeline',
    did: 'device-1',
    pdata: { id: 'data-pipeline', pid: 'telemetry-extractor', ver: '3.0' },
  });
  assert.deepEqual(object, { ver: '3.0', type: 'telemetry-events', rollup: {} });
  assert.deepEqual(
    { ...log?.event, context: null, object: null },
    {
      eid: 'LOG',
      ver: '3.0',
      mid: 'batch-1',
      ets: NOW_MS,
      syncts: NOW_MS,
      '@timestamp': '2024-06-11T10:00:00.000Z',
      actor: { id: 'sunbird.telemetry', type: 'telemetry-sync' },
      edata: {
        level: 'INFO',
        type: 'telemetry_audit',
        message: 'telemetry sync',
        params: [{ ver: '3.0', events_count: 5, sync_status: 'SUCCESS' }],
      },
      context: null,
      object: null,
    },
  );
});

test('the audit LOG of a batch without ids has made-up ones that differ by place, and passes validation', () => {
  const [a, b] = extract([{}, { events: null }]).verdicts.map(({ derived }) => derived[0]?.event);
  assert.ok(a !== undefined && b !== undefined);
  assert.notEqual(a['mid'], b['mid']);
  assert.equal((a['context'] as JsonObject)['channel'], 'in.sunbird');
  assert.equal(verdictOf(depsOf().schemas, a), null);
});

test('a batch without events has no outcome but its audit LOG', () => {
  for (const events of [undefined, null, []]) {
    const [verdict] = extract([{ events }]).verdicts;
    assert.deepEqual(verdict?.outcomes, []);
    assert.equal(verdict?.derived.length, 1);
  }
});

test('the time of sync is a number, a text of digits, or else the time of the record', () => {
  const cases: readonly (readonly [JsonObject[string], number])[] = [
    [1_718_000_400_500.9, 1_718_000_400_500],
    ['1718000400500', 1_718_000_400_500],
    [0, 0],
    ['yesterday', NOW_MS],
    [null, NOW_MS],
    [{}, NOW_MS],
    [-1, NOW_MS],
    [1e300, NOW_MS],
    [Number.POSITIVE_INFINITY, NOW_MS],
    ['99999999999999999999', NOW_MS],
  ];
  for (const [syncts, wanted] of cases) {
    const [first] = emissionsOf(extract([{ syncts, events: [{}] }]));
    assert.equal(first?.event['syncts'], wanted, `syncts ${JSON.stringify(syncts)}`);
    assert.equal(first?.event['@timestamp'], new Date(wanted).toISOString());
  }
});

test('a repeated msgid drops the whole batch once, each of its events counted', () => {
  const sent = fixtureLines('duplicate/same-msgid.jsonl');
  const result = extract(sent);
  const [, second] = result.verdicts;
  assert.deepEqual(
    second?.outcomes.map(outcome => [outcome.kind, outcome.kind === 'drop' && outcome.code]),
    [
      ['drop', 'ERR_DUPLICATE'],
      ['drop', 'ERR_DUPLICATE'],
    ],
  );
  assert.deepEqual(second?.derived, []);
  const [kept, ...others] = second?.outcomes ?? [];
  assert.ok(kept?.kind === 'drop' && others.every(other => other.kind === 'drop' && other.emission === null));
  assert.equal(kept.emission?.topic, 'telemetry.extractor.duplicate');
  assert.deepEqual(kept.emission?.event['flags'], { extractor_duplicate: true });
  assert.deepEqual(kept.emission?.event['events'], sent[1]?.['events']);
  assert.equal(result.marks.length, 1);
  assert.equal(result.counters['duplicate_event_count'], 1);
  assert.equal(result.counters['success_batch_count'], 1);
});

test('a repeated batch without events is one drop', () => {
  const [, second] = extract([{ params: { msgid: 'm' } }, { params: { msgid: 'm' } }]).verdicts;
  assert.equal(second?.outcomes.length, 1);
  assert.equal(second?.outcomes[0]?.kind, 'drop');
});

test('batches that bring no msgid are all unique', () => {
  const batches = [
    {},
    {},
    { params: null },
    { params: {} },
    { params: { msgid: '' } },
    { params: { msgid: '' } },
  ];
  const result = extract(batches.map(head => ({ ...head, events: [{ eid: 'END' }] })));
  assert.equal(topicCounts(result)['telemetry.raw'], 6);
  assert.deepEqual(result.marks, []);
});

test('a batch that cannot be read is set aside whole and leaves no mark', () => {
  const cases = { 'events-object': '/events', 'params-text': '/params', 'msgid-number': '/params/msgid' };
  for (const [name, pointer] of Object.entries(cases)) {
    const sent = fixture(`invalid/ERR_BATCH_UNREADABLE/${name}.json`);
    const result = extract([sent, { ...sent, params: { msgid: 'c9a3f2b0' }, events: [] }]);
    const [outcome] = result.verdicts[0]?.outcomes ?? [];
    assert.ok(outcome?.kind === 'reject');
    assert.deepEqual([outcome.code, outcome.pointer], ['ERR_BATCH_UNREADABLE', pointer]);
    assert.equal(outcome.emission.topic, 'telemetry.extractor.failed');
    assert.deepEqual(outcome.emission.event['events'], sent['events']);
    assert.deepEqual(result.verdicts[0]?.derived, []);
    assert.equal(result.counters['failed_batch_count'], 1);
    assert.equal(result.marks.length, 1);
  }
});

test('an element that is no object is set aside with its index; its neighbours go on', () => {
  const result = extract([fixture('invalid/ERR_EVENT_NOT_OBJECT/element-text.json')]);
  const [first, second, third] = outcomesOf(result);
  assert.deepEqual([first?.kind, third?.kind], ['emit', 'emit']);
  assert.ok(second?.kind === 'reject');
  assert.deepEqual([second.code, second.pointer], ['ERR_EVENT_NOT_OBJECT', '/events/1']);
  assert.equal(second.emission.topic, 'telemetry.failed');
  assert.equal(second.emission.event['event'], 'END');
  assert.equal(result.counters['failed_event_count'], 1);
});

test('an event over the limit is set aside, one of just the limit passes', () => {
  const event = fixture('invalid/ERR_EVENT_TOO_LARGE/beyond-a-kilobyte.json');
  const [sent] = event['events'] as readonly JsonObject[];
  const syncts = 1_718_000_400_500;
  const stamped = { ...sent, syncts, '@timestamp': new Date(syncts).toISOString() };
  const sizeBytes = Buffer.byteLength(JSON.stringify(stamped));
  for (const [eventBytesMax, kind] of [
    [sizeBytes, 'emit'],
    [sizeBytes - 1, 'reject'],
    [1024, 'reject'],
  ] as const) {
    const limited = createExtract(depsOf({ extract: { eventBytesMax } }));
    const [outcome] = outcomesOf(run(limited, itemsOf('telemetry.ingest', [event])));
    assert.equal(outcome?.kind, kind);
    if (outcome?.kind !== 'reject') continue;
    assert.equal(outcome.code, 'ERR_EVENT_TOO_LARGE');
    assert.equal(outcome.emission.topic, 'telemetry.failed');
    assert.deepEqual(outcome.emission.event['flags'], { ex_processed: false });
    assert.deepEqual(outcome.emission.event['metadata'], {
      src: 'TelemetryExtractorJob',
      ex_error: 'Event size is Exceeded',
    });
  }
});

test('null members are dropped on the way out, nulls in lists stay', () => {
  const sent = {
    ...fixture('valid/start.json'),
    tags: null,
    edata: { type: 'app', pageid: null, list: [null, { a: null }] },
  };
  const [outcome] = outcomesOf(extract([{ events: [sent] }]));
  assert.ok(outcome?.kind === 'emit');
  const opened = outcome.emissions[0]!.event;
  assert.equal(opened['tags'], undefined);
  assert.deepEqual(opened['edata'], { type: 'app', list: [null, {}] });
});
