import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { createValidate } from '../../src/jobs/validate.ts';
import { depsOf, emissionsOf, fixture, itemsOf, NOW_MS, outcomesOf, run, topicCounts } from './run-job.ts';

const job = createValidate(depsOf());
const validate = (...events: readonly Json[]) => run(job, itemsOf('telemetry.raw', events));
const corrected = (event: JsonObject): JsonObject => {
  const [outcome] = outcomesOf(validate(event));
  assert.ok(outcome?.kind === 'emit', JSON.stringify(outcome));
  return outcome.emissions[0]?.event ?? {};
};
const end = fixture('valid/end.json');

test('every valid event passes, LOG straight to its last topic', () => {
  const folder = new URL('../../fixtures/valid/', import.meta.url);
  const names = readdirSync(folder).filter(name => name !== 'me_workflow_summary.json');
  assert.equal(names.length, 18);
  const result = validate(...names.map(name => fixture(`valid/${name}`)));
  assert.deepEqual(topicCounts(result), { 'telemetry.valid': 17, 'druid.events.log': 1 });
  assert.deepEqual(result.counters, { validation_success_event_count: 18, log_route_success_count: 1 });
});

test('a passed event is flagged, typed and stamped; other flags are kept', () => {
  const event = corrected({ ...end, flags: { ex_processed: true } });
  assert.deepEqual(event, {
    ...end,
    flags: { ex_processed: true, pp_validation_processed: true },
    type: 'events',
    syncts: NOW_MS,
    '@timestamp': '2024-06-11T10:00:00.000Z',
  });
});

test('each broken rule is named by the field at fault', () => {
  const pointers = {
    'cdata-surplus-field': '/context/cdata/0/a~1b~0c',
    'context-missing': '/context',
    'eid-lower-case': '/eid',
    'eid-missing': '/eid',
    'ets-text': '/ets',
    'item-without-id': '/edata/item/id',
    'mid-empty': '/mid',
    'resvalues-of-texts': '/edata/resvalues/0',
    'rollup-number': '/object/rollup/l3',
    'ver-2': '/ver',
  };
  const folder = new URL('../../fixtures/invalid/ERR_SCHEMA_VIOLATION/', import.meta.url);
  assert.deepEqual(
    readdirSync(folder).sort(),
    Object.keys(pointers).map(name => `${name}.json`),
  );
  for (const [name, pointer] of Object.entries(pointers)) {
    const event = fixture(`invalid/ERR_SCHEMA_VIOLATION/${name}.json`);
    const [outcome] = outcomesOf(validate({ ...event, flags: { ex_processed: true } }));
    assert.ok(outcome?.kind === 'reject', name);
    assert.deepEqual([outcome.code, outcome.pointer], ['ERR_SCHEMA_VIOLATION', pointer]);
    assert.equal(outcome.emission.topic, 'telemetry.failed');
    assert.deepEqual(outcome.emission.event, {
      ...event,
      flags: { ex_processed: true, pp_validation_processed: false },
      metadata: { validation_error: pointer, src: 'PipelinePreprocessor' },
    });
  }
});

test('an eid without schema, a part of a schema and what jobs make are no events to be sent', () => {
  for (const name of ['eid-unknown', 'eid-of-a-shared-part', 'share-item-from-outside']) {
    const event = fixture(`invalid/ERR_SCHEMA_NOT_FOUND/${name}.json`);
    const [outcome] = outcomesOf(validate(event));
    assert.ok(outcome?.kind === 'reject');
    assert.equal(outcome.code, 'ERR_SCHEMA_NOT_FOUND');
    const text = 'Schema not found: eid looks incorrect, sending to failed';
    assert.equal(outcome.reason, text);
    assert.equal((outcome.emission.event['metadata'] as JsonObject)['validation_error'], text);
  }
});

test('a null member is a value of the wrong type: what drops nulls is the job before', () => {
  const [outcome] = outcomesOf(
    validate({ ...end, edata: { ...(end['edata'] as JsonObject), pageid: null } }),
  );
  assert.ok(outcome?.kind === 'reject');
  assert.deepEqual([outcome.pointer, outcome.reason], ['/edata/pageid', 'must be a string, is null']);
});

test('the id of a federated user is what follows its realm', () => {
  const actor = { id: 'f:5a8a3f2b:0e192b3f', type: 'User' };
  assert.deepEqual(corrected({ ...end, actor })['actor'], { id: '0e192b3f', type: 'User' });
  assert.deepEqual(corrected({ ...end, uid: 'f:a:b', actor: { id: 'x', type: 'User' } })['actor'], {
    id: 'b',
    type: 'User',
  });
  assert.deepEqual(corrected({ ...end, actor: { id: 'g:a:b', type: 'User' } })['actor'], {
    id: 'g:a:b',
    type: 'User',
  });
});

test('a dialcode filter gets the spelling that is read, whether text or list', () => {
  const search = fixture('valid/search.json');
  const filtersOf = (filters: JsonObject): unknown =>
    (corrected({ ...search, edata: { ...(search['edata'] as JsonObject), filters } })['edata'] as JsonObject)[
      'filters'
    ];
  assert.deepEqual(filtersOf({ dialCodes: 'K7M2Q9', a: 1 }), { a: 1, dialcodes: 'K7M2Q9' });
  assert.deepEqual(filtersOf({ dialCodes: ['K7M2Q9'] }), { dialcodes: ['K7M2Q9'] });
  for (const untouched of [{ dialCodes: {} }, { dialCodes: '' }, { dialcodes: 'x' }, {}]) {
    assert.deepEqual(filtersOf(untouched), untouched);
  }
});

test('the id of a QR code is upper case, the type of the object as it was', () => {
  assert.deepEqual(corrected(fixture('valid/start-qr.json'))['object'], {
    id: 'K7M2Q9',
    type: 'QR',
    ver: '1',
  });
  const object = { id: 'do_1', type: 'Content' };
  assert.deepEqual(corrected({ ...end, object })['object'], object);
});

test('a blank channel becomes the default one', () => {
  const context = { ...(end['context'] as JsonObject), channel: ' \t' };
  assert.deepEqual(corrected({ ...end, context })['context'], {
    ...context,
    channel: 'b00bc992ef25f1a9a8d63291e20efc8d',
  });
});

test('the two forms of the time of sync complete each other; what cannot be read counts as absent', () => {
  const iso = '2020-04-19T23:59:59.000Z';
  const ms = Date.parse(iso);
  const now = new Date(NOW_MS).toISOString();
  const cases: readonly (readonly [JsonObject, number, Json])[] = [
    [{ syncts: ms }, ms, iso],
    [{ '@timestamp': iso }, ms, iso],
    [{ syncts: ms, '@timestamp': 'odd' }, ms, 'odd'],
    [{ syncts: String(ms), '@timestamp': 7 }, ms, iso],
    [{ '@timestamp': '19/04/2020' }, NOW_MS, '19/04/2020'],
    [{ syncts: {}, '@timestamp': [] }, NOW_MS, now],
    [{ syncts: 1e300 }, NOW_MS, now],
    [{ syncts: ms + 0.5, '@timestamp': iso }, ms + 0.5, iso],
  ];
  for (const [times, syncts, timestamp] of cases) {
    const event = corrected({ ...end, ...times });
    assert.deepEqual([event['syncts'], event['@timestamp']], [syncts, timestamp], JSON.stringify(times));
  }
});

test('partition key is the device', () => {
  assert.equal(emissionsOf(validate(end))[0]?.key, '2d8f6b1c94a0e7735b1f20c6d9ae4410');
  assert.equal(emissionsOf(validate({}))[0]?.key, null);
});
