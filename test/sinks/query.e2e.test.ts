import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import { createQueryRunner } from '../../src/adapters/tables/query-process.ts';
import {
  assertRefused,
  insertQueried,
  QUERY_CONTRACT,
  QUERY_LIMITS,
  type QueryLimits,
} from './query-contract.ts';
import { atEnd, openScratchTables } from './setting.ts';

async function openQueries(t: TestContext, limits: Partial<QueryLimits> = {}) {
  const { file, tables } = await openScratchTables(t);
  await insertQueried(tables);
  const queries = createQueryRunner({ file, config: { ...QUERY_LIMITS, ...limits } });
  atEnd(t, () => queries.close());
  return { file, queries };
}

describe('queries in sqlite', () => {
  for (const [claim, check] of Object.entries(QUERY_CONTRACT)) {
    it(claim, t => check(async limits => (await openQueries(t, limits)).queries));
  }
});

test('blobs are hexadecimal, infinities null, and U+0000 is part of a text', async t => {
  const { queries } = await openQueries(t);
  const answer = await queries.run(`
    SELECT NULL AS missing, x'00ff' AS blob, 9e999 AS endless, 'é"' || char(0) AS text`);
  assert.equal(
    JSON.stringify(answer.rows),
    '[{"missing":null,"blob":"00ff","endless":null,"text":"é\\"\\u0000"}]',
  );
  assert.deepEqual(
    answer.columns.map(({ type }) => type),
    ['null', 'text', 'real', 'text'],
  );
});

const FORBIDDEN = [
  'CREATE TEMP VIEW x AS SELECT 1',
  'CREATE VIRTUAL TABLE x USING fts5(y)',
  "ATTACH 'OUTSIDE' AS x",
  "ATTACH DATABASE ':memory:' AS x",
  'DETACH main',
  "VACUUM INTO 'OUTSIDE'",
  'REINDEX',
  'PRAGMA database_list',
  'PRAGMA query_only = OFF',
  "SELECT * FROM pragma_table_info('events')",
  'SELECT count(*) FROM pragma_database_list',
  'SELECT * FROM sqlite_master',
  'SELECT count(*) FROM sqlite_schema',
  'SELECT sql FROM sqlite_temp_master',
  'SELECT * FROM dbstat',
  "SELECT load_extension('x')",
  'SELECT fts3_tokenizer(1)',
  'SELECT zeroblob(1000000000)',
  'SELECT randomblob(1000000000)',
  'SELECT (SELECT count(name) FROM sqlite_master) FROM events',
];
const INVALID = [
  "SELECT writefile('OUTSIDE', 'x')",
  "SELECT * FROM read_csv('/etc/passwd')",
  "COPY events TO 'OUTSIDE'",
  'INSTALL httpfs',
  "LOAD 'x'",
];

test('a query reaches nothing of SQLite but the relations', async t => {
  const { file, queries } = await openQueries(t);
  const outside = path.join(path.dirname(file), 'outside.db');
  const placed = (texts: readonly string[]) => texts.map(sql => sql.replaceAll('OUTSIDE', outside));
  await assertRefused(queries, 'ERR_QUERY_FORBIDDEN', placed(FORBIDDEN));
  await assertRefused(queries, 'ERR_QUERY_INVALID', placed(INVALID));
  assert.equal(existsSync(outside), false);
  assert.deepEqual(
    readdirSync(path.dirname(file)).filter(name => !name.startsWith('tables.sqlite')),
    [],
  );
  assert.deepEqual((await queries.run('SELECT count(*) AS n FROM events')).rows, [{ n: 25 }]);
});

test('JSON functions are allowed', async t => {
  const { queries } = await openQueries(t);
  const json = `SELECT raw ->> '$.mid' AS mid, j.key AS key, row_number() OVER (ORDER BY "offset") AS n
    FROM events, json_each(raw) AS j WHERE j.key = 'ets' ORDER BY "offset" LIMIT 1`;
  assert.deepEqual((await queries.run(json)).rows, [{ mid: 'm0', key: 'ets', n: 1 }]);
});

test('a query that takes too much memory is ended', async t => {
  const { queries } = await openQueries(t);
  const rows = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9000000)
    SELECT n, printf('%.*c', 200, 'x') AS text FROM c`;
  const greedy = [
    "SELECT printf('%.*c', 400000000, 'x')",
    `SELECT length(group_concat(text)) FROM (${rows})`,
    `SELECT n FROM (${rows}) ORDER BY text, n DESC`,
  ];
  for (const sql of greedy) await assert.rejects(queries.run(sql), { code: 'ERR_QUERY_MEMORY' }, sql);
});

test('a file that is not there is the store being away', async () => {
  const queries = createQueryRunner({ file: '/nowhere/tables.sqlite', config: QUERY_LIMITS });
  await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_UNAVAILABLE' });
});
