import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { migrateTables, openTableReader, openTables } from '../../src/adapters/tables/sqlite-tables.ts';
import { RELATIONS } from '../../src/core/relations.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { atEnd, ENVIRONMENT, logRecord, NOW_MS, scratch } from './setting.ts';

const LATEST = '0004-event-order.sql';
const BY_WINDOW = /USING INDEX \w+_mid \(ANY\(<expr>\) AND mid=\?\)/;
const BY_MID = /USING INDEX \w+_mid \(mid=\?\)/;

/** Rows of `events` whose offsets lie in many windows; the mid of each is its offset. */
const FAR_APART = [0, 1, 8_191, 8_192, 100_000, 3_000_000, 2 ** 40];
const rowsAt = (offsets: readonly number[]) =>
  offsets.flatMap(offset =>
    tableRowsOf(
      logRecord('druid.events.telemetry', `{"eid":"LOG","mid":"m${offset}"}`, { offset }),
      ENVIRONMENT,
    ),
  );

/** A file as it was before mids were kept by window. */
async function earlierFile(t: TestContext): Promise<string> {
  const file = path.join(scratch(t), 'tables.sqlite');
  await migrateTables(file, NOW_MS, LATEST);
  return file;
}

/** How the rows of a mid are found. */
function planOf(file: string, relation: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  const [row] = database.prepare(`EXPLAIN QUERY PLAN SELECT * FROM ${relation} WHERE mid = 'a'`).all();
  database.close();
  return String(row?.['detail']);
}

async function findAll(t: TestContext, file: string): Promise<void> {
  const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
  atEnd(t, () => reader.close());
  for (const offset of FAR_APART) {
    const { sightings } = await reader.trace(`m${offset}`);
    assert.deepEqual(
      sightings.map(({ stages }) => stages.at(-1)?.offset),
      [offset],
    );
    const { events } = await reader.events({ mid: `m${offset}` });
    assert.deepEqual(
      events.map(event => event.offset),
      [offset],
    );
  }
  assert.deepEqual((await reader.trace('m2')).sightings, []);
}

test('a mid is found in whatever window its offset lies', async t => {
  const file = path.join(scratch(t), 'tables.sqlite');
  const tables = await openTables(file, NOW_MS);
  atEnd(t, () => tables.close());
  for (const relation of Object.keys(RELATIONS)) assert.match(planOf(file, relation), BY_WINDOW);
  await tables.insert(rowsAt(FAR_APART));
  await findAll(t, file);
});

test('a small file of an earlier version is kept by window from then on', async t => {
  const file = await earlierFile(t);
  assert.match(planOf(file, 'events'), BY_MID);
  const database = new DatabaseSync(file);
  const columns = '(topic, partition, "offset", dataset, received_at, raw, mid)';
  const insert = database.prepare(`INSERT INTO events ${columns} VALUES (?, 0, ?, 'd', 1, '{}', ?)`);
  for (const offset of FAR_APART) insert.run('local.druid.events.telemetry', offset, `m${offset}`);
  database.close();
  for (const _ of [1, 2]) await (await openTables(file, NOW_MS)).close();
  for (const relation of Object.keys(RELATIONS)) assert.match(planOf(file, relation), BY_WINDOW);
  await findAll(t, file);
});

test('a large one keeps the index that it has', async t => {
  const file = await earlierFile(t);
  const database = new DatabaseSync(file);
  const columns = '(rowid, topic, partition, "offset", dataset, received_at, raw)';
  database.exec(`INSERT INTO events ${columns} VALUES (100001, 't', 0, 100000, 'd', 1, '{}')`);
  database.close();
  await (await openTables(file, NOW_MS)).close();
  assert.match(planOf(file, 'events'), BY_MID);
  assert.match(planOf(file, 'failed'), BY_WINDOW);
});
