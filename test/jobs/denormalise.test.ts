import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { createDenormalise } from '../../src/jobs/denormalise.ts';
import { depsOf, emissionsOf, fixture, itemsOf, NOW_MS, outcomesOf, run, type World } from './run-job.ts';

const job = createDenormalise(depsOf());
const denormalise = (event: JsonObject, rows: World['rows'] = {}, using = job): JsonObject => {
  const [outcome] = outcomesOf(run(using, itemsOf('telemetry.unique.primary', [event]), { rows }));
  assert.ok(outcome?.kind === 'emit', JSON.stringify(outcome));
  return outcome.emissions[0]?.event ?? {};
};
const flagsOf = (event: JsonObject): JsonObject => event['flags'] as JsonObject;

const DID = '2d8f6b1c94a0e7735b1f20c6d9ae4410';
const USER = '5f1d7a3c-22b8-4c0e-9a51-6e0d5b8f7c10';
const CONTENT = 'do_31301254988174131211';
const end = fixture('valid/end.json');
const interact = fixture('valid/interact.json');
const feedback = fixture('valid/feedback.json');

test('without any row the flags say so; the user has the defaults; no place is known', () => {
  const event = denormalise({ ...feedback, flags: { ex_processed: true } });
  assert.deepEqual(flagsOf(event), {
    ex_processed: true,
    device_denorm: false,
    user_denorm: false,
    content_denorm: false,
    coll_denorm: true,
    l2_denorm: true,
  });
  const { flags, userdata, collectiondata, l2data, ...others } = event;
  assert.deepEqual(
    [userdata, collectiondata, l2data],
    [{ usersignintype: 'Anonymous', userlogintype: 'NA' }, {}, {}],
  );
  assert.deepEqual(others, feedback);
});

test('the topic tells errors from the others, the key is the device', () => {
  const items = itemsOf('telemetry.error', [fixture('valid/error.json'), end]);
  assert.deepEqual(
    emissionsOf(run(job, items)).map(({ topic, key }) => [topic, key]),
    [
      ['telemetry.denorm.error', DID],
      ['telemetry.denorm', DID],
    ],
  );
});

test('events are dropped by calendar months, clamped to the end of the month', () => {
  const now = Date.parse('2024-05-31T10:00:00.000Z');
  const kindAt = (ets: string, expiryMonths: number): string | undefined => {
    const deps = depsOf({ denormalise: { ...depsOf().options.denormalise, expiryMonths } });
    const items = itemsOf('telemetry.unique.primary', [{ ...end, ets: Date.parse(ets) }], () => now);
    return outcomesOf(run(createDenormalise(deps), items))[0]?.kind;
  };
  assert.equal(kindAt('2024-02-29T10:00:00.000Z', 3), 'emit');
  assert.equal(kindAt('2024-02-29T09:59:59.999Z', 3), 'drop');
  assert.equal(kindAt('2023-02-28T10:00:00.000Z', 15), 'emit');
  assert.equal(kindAt('2023-02-28T09:59:59.999Z', 15), 'drop');
});

test('expired and skipped events are dropped without a topic', () => {
  const events = [
    fixture('late/expired.json'),
    fixture('valid/interrupt.json'),
    { ...end, eid: 'ME_SESSION_SUMMARY' },
    { ...end, eid: 'SUMMARY' },
    { ...end, eid: 'ME_WORKFLOW_SUMMARY' },
  ];
  const result = run(job, itemsOf('telemetry.unique.primary', events));
  assert.deepEqual(
    outcomesOf(result).map(outcome =>
      outcome.kind === 'drop' ? [outcome.code, outcome.reason, outcome.emission] : 'emit',
    ),
    [
      ['ERR_EXPIRED', 'expired', null],
      ['ERR_SKIPPED', 'skipped', null],
      ['ERR_SKIPPED', 'skipped', null],
      'emit',
      'emit',
    ],
  );
  assert.equal(result.counters['events_expired'], 1);
  assert.equal(result.counters['events_skipped'], 2);
});

test('an event without time or eid is rejected', () => {
  const events = [
    fixture('invalid/ERR_TIME_INVALID/ets-missing.json'),
    fixture('invalid/ERR_TIME_INVALID/ets-text.json'),
    { ...end, ets: Number.POSITIVE_INFINITY },
    { ...end, eid: '' },
  ];
  const outcomes = outcomesOf(run(job, itemsOf('telemetry.unique.primary', events)));
  assert.deepEqual(
    outcomes.map(
      outcome => outcome.kind === 'reject' && [outcome.code, outcome.pointer, outcome.emission.topic],
    ),
    [
      ...[0, 1, 2].map(() => ['ERR_TIME_INVALID', '/ets', 'telemetry.failed']),
      ['ERR_SCHEMA_VIOLATION', '/eid', 'telemetry.failed'],
    ],
  );
});

test('a time to come is set to the end of the day, UTC', () => {
  const endOfDayMs = Date.parse('2024-06-11T23:59:59.999Z');
  assert.equal(denormalise(fixture('late/future.json'))['ets'], endOfDayMs);
  assert.equal(denormalise({ ...end, ets: endOfDayMs })['ets'], endOfDayMs);
  assert.equal(denormalise({ ...end, ets: NOW_MS + 1 })['ets'], NOW_MS + 1);
  assert.equal(denormalise({ ...end, ets: endOfDayMs + 0.5 })['ets'], endOfDayMs + 0.5);
  assert.equal(denormalise({ ...end, ets: 1e300 })['ets'], endOfDayMs);
});

const deviceRow = {
  country_code: 'IN',
  country: 'India',
  state_code: 'PB',
  state: 'Punjab',
  city: 'Ludhiana',
  district_custom: 'Ludhiana',
  state_code_custom: '03',
  state_custom: 'Punjab\\b',
  user_declared_state: 'Himachal Pradesh',
  user_declared_district: 'Kangra',
  devicespec: '{"os":"Android 14","sims":"-1"}',
  firstaccess: '1587283462495',
  fcm_token: 'secret',
};

test('device data keep their text, but for the spec and the time of first access', () => {
  const event = denormalise({ ...end, devicedata: { old: 1 } }, { device: { [DID]: deviceRow } });
  assert.deepEqual(event['devicedata'], {
    countrycode: 'IN',
    country: 'India',
    statecode: 'PB',
    state: 'Punjab',
    city: 'Ludhiana',
    statecustomcode: '03',
    statecustomname: 'Punjabb',
    districtcustom: 'Ludhiana',
    devicespec: { os: 'Android 14', sims: '-1' },
    firstaccess: 1_587_283_462_495,
    iso3166statecode: 'IN-PB',
    userdeclared: { state: 'Himachal Pradesh', district: 'Kangra' },
  });
  assert.equal(flagsOf(event)['device_denorm'], true);
});

test('what a device row lacks or holds in another shape has a default', () => {
  const blank = {
    countrycode: '',
    country: '',
    statecode: '',
    state: '',
    city: 'X',
    statecustomcode: '',
    statecustomname: '',
    districtcustom: '',
    devicespec: {},
    firstaccess: 0,
    iso3166statecode: '',
    userdeclared: { state: '', district: '' },
  };
  const dataOf = (row: JsonObject): unknown => denormalise(end, { device: { [DID]: row } })['devicedata'];
  assert.deepEqual(dataOf({ city: 'X' }), blank);
  assert.deepEqual(
    dataOf({ city: 'X', devicespec: 'odd', firstaccess: 'soon', state: null, country: {}, state_code: [] }),
    blank,
  );
  assert.deepEqual(dataOf({ city: 'X', devicespec: { os: 1 }, firstaccess: 12.5, state_code: 3 }), {
    ...blank,
    devicespec: { os: 1 },
    firstaccess: 12,
    statecode: '3',
    iso3166statecode: 'IN-3',
  });
  assert.deepEqual(dataOf({ city: 'X', devicespec: '{broken' }), blank);
  assert.equal(dataOf({ city: '', state: null, fcm_token: 'x' }), undefined);
});

test('an event that names no device has no flag of it', () => {
  const { did, ...context } = end['context'] as JsonObject;
  assert.equal('device_denorm' in flagsOf(denormalise({ ...end, context })), false);
});

test('user data are the listed fields with their defaults, over what the event has', () => {
  const row = {
    usertype: 'teacher',
    grade: '["Class 8"]',
    language: ['English'],
    phone: 'x',
    state: '',
    usersignintype: 'Validated',
  };
  const event = denormalise({ ...end, userdata: { board: 'x', usertype: 'y' } }, { user: { [USER]: row } });
  assert.deepEqual(event['userdata'], {
    board: 'x',
    usersignintype: 'Validated',
    userlogintype: 'NA',
    usertype: 'teacher',
    grade: ['Class 8'],
    language: ['English'],
  });
  assert.equal(flagsOf(event)['user_denorm'], true);
});

test('a user of whom only sign-in and log-in are known is a hit without the flag', () => {
  const row = { usersignintype: 'Validated', userlogintype: 'teacher' };
  const result = run(job, itemsOf('telemetry.unique.primary', [end]), { rows: { user: { [USER]: row } } });
  assert.equal(result.counters['user_cache_hit'], 1);
  assert.deepEqual(flagsOf(emissionsOf(result)[0]?.event ?? {})['user_denorm'], false);
});

test('only a named user is looked up; a workflow summary need not say that its uid is one', () => {
  const totalOf = (event: JsonObject): unknown =>
    run(job, itemsOf('telemetry.unique.primary', [event])).counters['user_total'] ?? 0;
  assert.equal(totalOf({ ...end, actor: { id: 'Anonymous', type: 'User' } }), 0);
  assert.equal(totalOf({ ...end, actor: { id: USER, type: 'System' } }), 0);
  assert.equal(totalOf({ ...end, actor: { id: '', type: 'User' } }), 0);
  assert.equal(totalOf({ ...end, actor: { id: USER, type: 'uSER' } }), 1);
  assert.equal(totalOf({ eid: 'ME_WORKFLOW_SUMMARY', ets: NOW_MS, uid: USER }), 1);
  assert.equal(totalOf({ eid: 'ME_WORKFLOW_SUMMARY', ets: NOW_MS, uid: 'anonymous' }), 0);
});

test('a dialcode is looked up in upper case and read in both spellings', () => {
  const qr = fixture('valid/start-qr.json');
  const older = {
    identifier: 'K7M2Q9',
    batchcode: 'b',
    generated_on: '2018-09-03T11:09:38.850',
    dialcode_index: 1,
  };
  const service = {
    identifier: 'K7M2Q9',
    batchCode: 'b',
    generatedOn: '2018-09-03T11:09:38.850+0000',
    publishedOn: 7,
  };
  for (const [row, data] of [
    [older, { identifier: 'K7M2Q9', batchcode: 'b', generatedon: 1_535_972_978_850 }],
    [service, { identifier: 'K7M2Q9', batchcode: 'b', generatedon: 1_535_972_978_850, publishedon: 7 }],
    [
      { status: 'Live', published_on: '2018-09-03' },
      { status: 'Live', publishedon: 0 },
    ],
  ] as const) {
    const event = denormalise(qr, { dialcode: { K7M2Q9: row } });
    assert.deepEqual(event['dialcodedata'], data);
    assert.equal(flagsOf(event)['dialcode_denorm'], true);
    assert.equal('content_denorm' in flagsOf(event), false);
  }
  assert.equal(flagsOf(denormalise(qr))['dialcode_denorm'], false);
});

const contentRow = {
  name: 'Photosynthesis',
  contentType: 'Resource',
  lastUpdatedOn: '2020-03-02T12:22:32.206+0000',
  lastPublishedOn: '2020-03-02T17:52:32.363+0530',
  lastSubmittedOn: '2020-03-02T12:22:32+0000',
  language: ['English'],
  pkgVersion: 1,
  gradeLevel: ['Class 8'],
  subject: '',
  downloadUrl: 'https://cdn.example/x',
};

test('content data are the listed fields, keys in lower case, dates as epoch ms', () => {
  const event = denormalise(
    { ...interact, contentdata: { extra: 1 } },
    { content: { [CONTENT]: contentRow } },
  );
  assert.deepEqual(event['contentdata'], {
    extra: 1,
    name: 'Photosynthesis',
    contenttype: 'Resource',
    lastupdatedon: 1_583_151_752_206,
    lastpublishedon: 1_583_151_752_363,
    lastsubmittedon: 0,
    language: ['English'],
    pkgversion: 1,
    gradelevel: ['Class 8'],
  });
  assert.equal(flagsOf(event)['content_denorm'], true);
});

test('collection and its second level come from the rollup, where they are not the object itself', () => {
  const rows = { content: { do_a: contentRow, do_b: { ...contentRow, status: 'Live' } } };
  const event = denormalise(
    { ...interact, object: { id: CONTENT, type: 'Content', rollup: { l1: 'do_a', l2: 'do_b' } } },
    rows,
  );
  assert.equal((event['collectiondata'] as JsonObject)['lastupdatedon'], 1_583_151_752_206);
  assert.deepEqual(event['l2data'], {
    name: 'Photosynthesis',
    contenttype: 'Resource',
    gradelevel: ['Class 8'],
  });
  assert.deepEqual([flagsOf(event)['coll_denorm'], flagsOf(event)['l2_denorm']], [true, true]);
  const flagsWith = (rollup: Json): JsonObject =>
    flagsOf(denormalise({ ...interact, object: { id: CONTENT, type: 'Content', rollup } }, rows));
  const asked = (rollup: Json): readonly boolean[] =>
    ['coll_denorm', 'l2_denorm'].map(name => name in flagsWith(rollup));
  assert.deepEqual(asked({ l1: CONTENT, l2: CONTENT }), [false, false]);
  assert.deepEqual(asked({ l1: CONTENT, l2: 'do_b' }), [false, true]);
  assert.deepEqual(asked({ l1: 'do_a', l2: CONTENT }), [true, false]);
  assert.deepEqual(asked({ l2: 'do_b' }), [false, true]);
  assert.deepEqual(asked({ l1: '', l2: 7 }), [false, false]);
  assert.deepEqual(asked(null), [false, false]);
});

test('the flag of a missing collection is what the option says', () => {
  const deps = depsOf({ denormalise: { ...depsOf().options.denormalise, collectionMiss: false } });
  const using = createDenormalise(deps);
  assert.equal(flagsOf(denormalise(interact, {}, using))['coll_denorm'], false);
  const rows = { content: { do_31307360997695488012: contentRow } };
  assert.equal(flagsOf(denormalise(interact, rows, using))['coll_denorm'], true);
});

test('objects that are users or dialcodes are no content, but for the permitted eids', () => {
  const totalOf = (eid: string, type: string): unknown =>
    run(job, itemsOf('telemetry.unique.primary', [{ ...end, eid, object: { id: 'x', type } }])).counters[
      'content_total'
    ] ?? 0;
  assert.deepEqual(
    ['User', 'QR', 'DialCode', 'Content', ''].map(type => totalOf('END', type)),
    [0, 0, 0, 1, 0],
  );
  assert.equal(totalOf('AUDIT', 'User'), 1);
});

test('the place is what the profile says, else the device, else its address; blank ones are passed over', () => {
  const placeOf = (user: JsonObject, device: JsonObject): unknown =>
    denormalise(end, { user: { [USER]: user }, device: { [DID]: device } })['derivedlocationdata'];
  const declared = { user_declared_state: 'Himachal Pradesh', user_declared_district: 'Kangra' };
  const address = { state: 'Punjab', district_custom: 'Ludhiana' };
  assert.deepEqual(placeOf({ state: 'Goa', district: 'North Goa' }, { ...declared, ...address }), {
    state: 'Goa',
    district: 'North Goa',
    from: 'user-profile',
  });
  assert.deepEqual(placeOf({ district: 'x' }, { ...declared, ...address }), {
    state: 'Himachal Pradesh',
    district: 'Kangra',
    from: 'user-declared',
  });
  assert.deepEqual(placeOf({}, address), { state: 'Punjab', district: 'Ludhiana', from: 'ip-resolved' });
  assert.deepEqual(placeOf({}, { state: 'Punjab' }), { state: 'Punjab', from: 'ip-resolved' });
  assert.equal(placeOf({}, { city: 'x' }), undefined);
});

test('the look-ups are counted by what they found', () => {
  const rows = { device: { [DID]: deviceRow }, content: { [CONTENT]: contentRow } };
  const items = itemsOf('telemetry.unique.primary', [interact, fixture('valid/start-qr.json')]);
  assert.deepEqual(run(job, items, { rows }).counters, {
    device_total: 2,
    device_cache_hit: 2,
    user_total: 2,
    user_cache_miss: 2,
    dialcode_total: 1,
    dialcode_cache_miss: 1,
    content_total: 1,
    content_cache_hit: 1,
    loc_total: 2,
    loc_cache_hit: 2,
  });
});
