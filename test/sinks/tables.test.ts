import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { openTableReader, openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { RELATIONS, type RelationName } from '../../src/core/relations.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import {
  append,
  atEnd,
  DAY_MS,
  ENVIRONMENT,
  logRecord,
  NOW_MS,
  openScratchTables,
  scratch,
  startArchive,
  startTables,
  TOPIC_SPECS,
  until,
} from './setting.ts';

function readRows(t: TestContext, file: string) {
  const database = new DatabaseSync(file, { readOnly: true });
  atEnd(t, () => database.close());
  return (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map(row => ({ ...row }));
}

const headers = (
  offset: number,
  job: string,
  cause: Record<string, string> = {},
  topic = 'local.telemetry.ingest',
) => ({
  origin: `${topic}:0:${offset}:0 ${NOW_MS + offset} ${job}`,
  ...cause,
});

test('the schema has the columns that the relations name', async t => {
  const { file } = await openScratchTables(t);
  const rows = readRows(t, file);
  for (const relation of Object.keys(RELATIONS) as RelationName[]) {
    const columns = rows(`SELECT name FROM pragma_table_info('${relation}')`).map(row => row['name']);
    assert.deepEqual([...columns].sort(), [...RELATIONS[relation]].sort(), relation);
  }
});

test('opening again changes nothing; a newer schema is refused', async t => {
  const file = path.join(scratch(t), 'tables.sqlite');
  await (await openTables(file, NOW_MS)).close();
  await (await openTables(file, NOW_MS + 1)).close();
  const database = new DatabaseSync(file);
  const ledger = database.prepare('SELECT number, applied_at FROM migrations ORDER BY number').all();
  assert.ok(ledger.length >= 2);
  for (const [i, row] of ledger.entries())
    assert.deepEqual([row['number'], row['applied_at']], [i + 1, NOW_MS]);
  database.prepare('INSERT INTO migrations VALUES (?, ?, 0)').run(ledger.length + 1, 'later.sql');
  database.close();
  await assert.rejects(openTables(file, NOW_MS), { code: 'ERR_DATA_FORMAT' });
});

test('a file with the pages of earlier releases is taken as it is', async t => {
  const file = path.join(scratch(t), 'tables.sqlite');
  const earlier = new DatabaseSync(file);
  earlier.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; CREATE TABLE earlier (n INTEGER)');
  earlier.close();
  const tables = await openTables(file, NOW_MS);
  atEnd(t, () => tables.close());
  await tables.insert(tableRowsOf(logRecord('druid.events.log', '{"mid":"a"}'), ENVIRONMENT));
  const rows = readRows(t, file);
  assert.deepEqual(rows('SELECT mid FROM events'), [{ mid: 'a' }]);
  assert.deepEqual(rows('PRAGMA page_size'), [{ page_size: 4096 }]);
});

test('the size counts what the write-ahead file holds', async t => {
  const { file, tables } = await openScratchTables(t);
  const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
  atEnd(t, () => reader.close());
  const before = await reader.sizeBytes();
  const value = JSON.stringify({ mid: 'a', edata: { text: 'x'.repeat(100_000) } });
  await tables.insert(tableRowsOf(logRecord('druid.events.log', value), ENVIRONMENT));
  assert.ok((await reader.sizeBytes()) > before + 100_000);
});

test('old rows are deleted, in steps, from every relation', async t => {
  const { file, tables } = await openScratchTables(t);
  const topics = [
    'druid.events.log',
    'telemetry.failed',
    'telemetry.duplicate',
    'telemetry.audit',
    'telemetry.dropped',
  ];
  for (let offset = 0; offset < 10; offset++) {
    const record = { offset, headers: { origin: `x:0:0:0 ${offset * 100} route` } };
    for (const topic of topics) await tables.insert(tableRowsOf(logRecord(topic, '{}', record), ENVIRONMENT));
  }
  assert.equal(await tables.expire(500, 3), 15);
  assert.equal(await tables.expire(500, 3), 10);
  assert.equal(await tables.expire(500, 3), 0);
  const rows = readRows(t, file);
  for (const relation of ['events', 'failed', 'duplicates', 'audit', 'dropped']) {
    assert.deepEqual(rows(`SELECT min("offset") AS first, count(*) AS count FROM ${relation}`), [
      { first: 5, count: 5 },
    ]);
  }
});

test('the sink stores each record once, goes on where it was, and lets old rows go', async t => {
  const log = openMemoryLog(TOPIC_SPECS);
  const { file, tables } = await openScratchTables(t);
  const rows = readRows(t, file);
  const first = await startTables(t, log, tables);
  for (let i = 0; i < 250; i++) {
    await append(log, 'druid.events.telemetry', { value: `{"mid":"m${i}"}`, headers: headers(i, 'route') });
  }
  await append(log, 'druid.events.summary', { value: '{"eid":"ME_X"}', headers: headers(250, 'route') });
  await append(log, 'telemetry.ingest', { value: '{}' });
  await until('all are stored', () => first.isCaughtUp() && rows('SELECT * FROM events').length === 251);
  await first.stop();
  assert.equal(rows('SELECT * FROM summaries').length, 1);

  await append(log, 'telemetry.failed', { value: '{}', headers: headers(251, 'validate') });
  const offsets = (await log.describe()).offsets;
  assert.equal(offsets.find(row => row.topic === 'local.druid.events.telemetry')?.offset, 250);
  const second = await startTables(t, log, tables, () => NOW_MS + 8 * DAY_MS);
  await until('the rest is stored', () => second.isCaughtUp());
  await until('old rows are gone', () => rows('SELECT * FROM events').length === 0);
});

test('a store that fails is waited for; nothing is skipped', async t => {
  const log = openMemoryLog(TOPIC_SPECS);
  const { file, tables } = await openScratchTables(t);
  let failures = 3;
  const failing = {
    ...tables,
    async insert(rows: Parameters<typeof tables.insert>[0]) {
      if (failures-- > 0) throw new MillraceError('ERR_DISK_FULL', 'no room');
      await tables.insert(rows);
    },
  };
  await append(log, 'druid.events.log', { value: '{"mid":"a"}', headers: headers(0, 'extract') });
  const sink = await startTables(t, log, failing);
  await until('it says so', () => sink.trouble()?.code === 'ERR_DISK_FULL');
  assert.equal(sink.isCaughtUp(), false);
  await until('it is over', () => sink.isCaughtUp() && sink.trouble() === null);
  assert.deepEqual(readRows(t, file)('SELECT mid FROM events'), [{ mid: 'a' }]);
});

async function openTrace(t: TestContext) {
  const { archive, log, tables, folder } = await startArchive(t);
  const sink = await startTables(t, log, tables);
  const settle = async () => {
    await until('all are stored', () => sink.isCaughtUp());
    await archive.flush();
  };
  const reader = openTableReader({
    file: path.join(folder, 'tables.sqlite'),
    environment: ENVIRONMENT,
    redactEids: ['ASSESS', 'RESPONSE'],
  });
  atEnd(t, () => reader.close());
  return { archive, log, settle, reader };
}

test('a trace tells each stage, the copies, and the line in the archive', async t => {
  const { archive, log, settle, reader } = await openTrace(t);
  const event = { eid: 'ASSESS', mid: 'x' };
  for (let i = 0; i < 7; i++) {
    await append(log, 'druid.events.telemetry', {
      value: `{"mid":"other${i}"}`,
      timeMs: NOW_MS + (i % 2) * DAY_MS,
    });
  }
  await append(log, 'telemetry.assess.raw', { value: JSON.stringify(event), headers: headers(3, 'redact') });
  const value = JSON.stringify({ ...event, type: 'events' });
  await append(log, 'druid.events.telemetry', {
    value,
    headers: headers(3, 'route'),
    timeMs: NOW_MS + DAY_MS,
  });
  const cause = { code: 'ERR_DUPLICATE', reason: 'seen' };
  await append(log, 'telemetry.duplicate', { value, headers: headers(9, 'dedup', cause) });
  await settle();

  const { sightings } = await reader.trace('x');
  assert.deepEqual(
    sightings.map(({ source, receivedAtMs }) => [source, receivedAtMs]),
    [
      [{ topic: 'local.telemetry.ingest', partition: 0, offset: 3, index: 0 }, NOW_MS + 3],
      [{ topic: 'local.telemetry.ingest', partition: 0, offset: 9, index: 0 }, NOW_MS + 9],
    ],
  );
  assert.deepEqual(
    sightings[0]?.stages.map(stage => [stage.stage, stage.outcome, stage.topic, stage.offset]),
    [
      ['extract', 'emit', null, null],
      ['redact', 'emit', null, null],
      ['redact', 'emit', 'local.telemetry.assess.raw', 0],
      ['validate', 'emit', null, null],
      ['dedup', 'emit', null, null],
      ['flatten', 'emit', null, null],
      ['denormalise', 'emit', null, null],
      ['route', 'emit', 'local.druid.events.telemetry', 7],
    ],
  );
  assert.deepEqual(sightings[1]?.stages.at(-1), {
    stage: 'dedup',
    timeMs: NOW_MS + 9,
    topic: 'local.telemetry.duplicate',
    partition: 0,
    offset: 0,
    outcome: 'drop',
    code: 'ERR_DUPLICATE',
    reason: 'seen',
    pointer: null,
  });
  for (const { object, line } of sightings.flatMap(({ archive }) => archive)) {
    const lines = Buffer.from(await archive.read(object))
      .toString()
      .split('\n');
    assert.equal(JSON.parse(lines[line - 1]!).mid, 'x', `${object} line ${line}`);
  }
  assert.equal(sightings[0]?.archive.length, 2);
});

test('a path ends where the event ended, and begins where it was made', async t => {
  const { log, settle, reader } = await openTrace(t);
  const stagesOf = async (mid: string) =>
    (await reader.trace(mid)).sightings[0]?.stages.map(stage => stage.stage);
  const put = (topic: string, eid: string, job: string, source = 'telemetry.ingest') =>
    append(log, topic, {
      value: JSON.stringify({ eid, mid: `${topic} ${eid} ${job}` }),
      headers: headers(1, job, {}, source),
    });
  await put('telemetry.failed', 'START', 'extract');
  await put('druid.events.log', 'LOG', 'extract');
  await put('druid.events.log', 'LOG', 'validate');
  await put('telemetry.failed', 'RESPONSE', 'validate');
  await put('telemetry.dropped', 'START', 'denormalise');
  await put('druid.events.telemetry', 'SHARE_ITEM', 'route');
  await put('druid.events.summary', 'ME_WORKFLOW_SUMMARY', 'summarise-route', 'local.telemetry.derived');
  await settle();
  assert.deepEqual(await stagesOf('telemetry.failed START extract'), ['extract']);
  assert.deepEqual(await stagesOf('druid.events.log LOG extract'), ['extract']);
  assert.deepEqual(await stagesOf('druid.events.log LOG validate'), ['extract', 'validate']);
  assert.deepEqual(await stagesOf('telemetry.failed RESPONSE validate'), ['extract', 'redact', 'validate']);
  assert.deepEqual(await stagesOf('telemetry.dropped START denormalise'), [
    'extract',
    'validate',
    'dedup',
    'flatten',
    'denormalise',
  ]);
  assert.deepEqual(await stagesOf('druid.events.telemetry SHARE_ITEM route'), [
    'flatten',
    'denormalise',
    'route',
  ]);
  assert.deepEqual(await stagesOf('druid.events.summary ME_WORKFLOW_SUMMARY summarise-route'), [
    'summarise-route',
  ]);
  assert.deepEqual(await reader.trace('nobody'), { mid: 'nobody', sightings: [] });
  assert.deepEqual((await reader.trace("' OR 1=1 --")).sightings, []);
});

test('look-ups are served by an index', async t => {
  const { file } = await openScratchTables(t);
  const rows = readRows(t, file);
  const order = 'ORDER BY received_at DESC, topic DESC, partition DESC, "offset" DESC LIMIT 101';
  for (const where of [
    '',
    "WHERE code = 'a'",
    "WHERE job = 'a'",
    "WHERE job = 'a' AND code = 'b'",
    'WHERE received_at < 5',
  ]) {
    const plan = rows(`EXPLAIN QUERY PLAN SELECT id FROM failed ${where} ${order}`).map(row =>
      String(row['detail']),
    );
    assert.ok(
      plan.every(detail => detail.includes('INDEX failed_') && !detail.includes('TEMP B-TREE')),
      `${where}: ${plan}`,
    );
  }
  for (const relation of Object.keys(RELATIONS)) {
    const [plan] = rows(`EXPLAIN QUERY PLAN SELECT * FROM ${relation} WHERE mid = 'a'`);
    assert.match(String(plan?.['detail']), new RegExp(`USING INDEX ${relation}_mid`));
  }
});
