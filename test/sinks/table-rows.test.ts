import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RELATIONS, type TableRow } from '../../src/core/relations.ts';
import { TABLE_TOPICS, tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { ENVIRONMENT, logRecord, NOW_MS, openScratchTables } from './setting.ts';

function columnsOf(row: TableRow | undefined): Record<string, unknown> {
  assert.ok(row !== undefined);
  return Object.fromEntries(RELATIONS[row.relation].map((column, i) => [column, row.values[i]]));
}

const EVENT = {
  eid: 'IMPRESSION',
  mid: 'm1',
  ets: 1_587_321_000_068,
  syncts: 1_587_321_000_151,
  actor: { id: 'u1', type: 'User' },
  context: { did: 'd1', channel: 'c1', pdata: { id: 'p1' } },
  object: { id: 'o1', type: 'Content' },
};
const HEADERS = { origin: 'local.telemetry.ingest:0:7:3 1714521600001 route' };

test('an event becomes one row, named by its position', () => {
  const raw = JSON.stringify(EVENT);
  const record = logRecord('druid.events.telemetry', raw, { offset: 42, headers: HEADERS });
  const rows = tableRowsOf(record, ENVIRONMENT);
  assert.equal(rows.length, 1);
  assert.deepEqual(columnsOf(rows[0]), {
    eid: 'IMPRESSION',
    mid: 'm1',
    did: 'd1',
    channel: 'c1',
    pdata_id: 'p1',
    ets: 1_587_321_000_068,
    ets_time: '2020-04-19T18:30:00.068Z',
    syncts: 1_587_321_000_151,
    user_id: 'u1',
    object_id: 'o1',
    object_type: 'Content',
    dataset: 'druid.events.telemetry',
    topic: 'local.druid.events.telemetry',
    partition: 0,
    offset: 42,
    job: 'route',
    source: 'local.telemetry.ingest:0:7:3',
    received_at: 1_714_521_600_001,
    raw,
  });
});

test('a summary gives its dimensions, a dropped event its short record', () => {
  const summary = { eid: 'ME_X', uid: 'u', dimensions: { did: 'd', channel: 'c', pdata: { id: 'p' } } };
  const summaryRow = columnsOf(
    tableRowsOf(logRecord('druid.events.summary', JSON.stringify(summary)), ENVIRONMENT)[0],
  );
  assert.deepEqual(
    [summaryRow['did'], summaryRow['channel'], summaryRow['pdata_id'], summaryRow['user_id']],
    ['d', 'c', 'p', 'u'],
  );
  const dropped = JSON.stringify({ mid: 'm', eid: 'INTERRUPT', did: 'd', channel: 'c', ets: 5 });
  const headers = {
    origin: HEADERS.origin.replace('route', 'denormalise'),
    code: 'ERR_SKIPPED',
    reason: 'skipped',
  };
  const row = columnsOf(tableRowsOf(logRecord('telemetry.dropped', dropped, { headers }), ENVIRONMENT)[0]);
  assert.deepEqual(
    [row['mid'], row['did'], row['channel'], row['ets'], row['code'], row['reason'], row['job']],
    ['m', 'd', 'c', 5, 'ERR_SKIPPED', 'skipped', 'denormalise'],
  );
});

test('a duplicate batch becomes a row per event, each with its own source', () => {
  const batch = { events: [{ mid: 'a' }, 7, { mid: 'b' }] };
  const headers = { origin: HEADERS.origin.replace(':7:3', ':7:0') };
  const record = logRecord('telemetry.extractor.duplicate', JSON.stringify(batch), { headers });
  const rows = tableRowsOf(record, ENVIRONMENT).map(columnsOf);
  assert.deepEqual(
    rows.map(row => [row['event_index'], row['mid'], row['raw'], row['source']]),
    [
      [0, 'a', '{"mid":"a"}', 'local.telemetry.ingest:0:7:0'],
      [1, null, '7', 'local.telemetry.ingest:0:7:1'],
      [2, 'b', '{"mid":"b"}', 'local.telemetry.ingest:0:7:2'],
    ],
  );
  for (const value of ['{"events":[]}', '{}', 'not JSON', '[]']) {
    assert.equal(tableRowsOf(logRecord('telemetry.extractor.duplicate', value), ENVIRONMENT).length, 1);
  }
});

test('values of an unexpected form are null or text, never an error', () => {
  const odd = {
    eid: ['START'],
    mid: 17,
    ets: '1587321000068',
    syncts: 1e300,
    actor: null,
    context: { did: true, channel: 'x'.repeat(9000), pdata: 'p' },
    object: { id: 'a\0b', type: '' },
  };
  const row = columnsOf(tableRowsOf(logRecord('telemetry.failed', JSON.stringify(odd)), ENVIRONMENT)[0]);
  assert.deepEqual(
    ['eid', 'mid', 'ets', 'ets_time', 'syncts', 'did', 'channel', 'pdata_id', 'user_id'].map(
      name => row[name],
    ),
    [null, '17', null, null, null, 'true', null, null, null],
  );
  assert.deepEqual([row['object_id'], row['object_type']], ['a\ufffdb', null]);
  assert.equal(row['received_at'], NOW_MS);
});

test('whatever the value is, its rows can be stored', async t => {
  const { tables } = await openScratchTables(t);
  const number = fc.oneof(
    fc.double(),
    fc.constantFrom(-0, Infinity, 2 ** 53, -(2 ** 53), 8.64e15, 8.65e15, 1.5),
  );
  const leaf = fc.oneof(
    number,
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.constant({}),
  );
  const event = fc.record(
    Object.fromEntries(
      ['eid', 'mid', 'ets', 'syncts', 'uid', 'did', 'channel'].map(name => [name, leaf]),
    ) as Record<string, typeof leaf>,
    { requiredKeys: [] },
  );
  const value = fc.oneof(
    fc.json().map(text => Buffer.from(text)),
    fc.uint8Array().map(bytes => Buffer.from(bytes)),
    event.map(object => Buffer.from(JSON.stringify(object))),
    fc.array(fc.oneof(event, leaf)).map(events => Buffer.from(JSON.stringify({ events }))),
  );
  let offset = 0;
  await fc.assert(
    fc.asyncProperty(
      value,
      fc.constantFrom(...Object.keys(TABLE_TOPICS)),
      fc.double(),
      async (bytes, topic, timeMs) => {
        const headers = { origin: 'nonsense soon \0' };
        const rows = tableRowsOf(logRecord(topic, bytes, { offset: offset++, timeMs, headers }), ENVIRONMENT);
        assert.ok(rows.length >= 1);
        await tables.insert(rows);
      },
    ),
    { numRuns: 300 },
  );
});

test('a topic that fills no relation has no rows', () => {
  assert.deepEqual(tableRowsOf(logRecord('telemetry.ingest', '{}'), ENVIRONMENT), []);
  assert.deepEqual(tableRowsOf(logRecord('constructor', '{}'), ENVIRONMENT), []);
});
