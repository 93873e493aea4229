import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createQueryRunner, type QueryOptions } from '../../src/adapters/tables/query-process.ts';
import { READABLE_RELATIONS } from '../../src/core/relations.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { atEnd, ENVIRONMENT, logRecord, openScratchTables } from './setting.ts';

const CONFIG: QueryOptions['config'] = {
  'query.timeoutMs': 10_000,
  'query.rowsMax': 10,
  'query.memoryBytesMax': 64 * 1024 * 1024,
  'query.concurrentMax': 2,
};

async function openQueries(t: TestContext, config: Partial<QueryOptions['config']> = {}) {
  const { file, tables } = await openScratchTables(t);
  for (let offset = 0; offset < 25; offset++) {
    const value = JSON.stringify({
      eid: offset % 2 === 0 ? 'START' : 'END',
      mid: `m${offset}`,
      ets: 1000 + offset,
    });
    await tables.insert(tableRowsOf(logRecord('druid.events.telemetry', value, { offset }), ENVIRONMENT));
  }
  const queries = createQueryRunner({ file, config: { ...CONFIG, ...config } });
  atEnd(t, () => queries.close());
  return { file, queries };
}

test('rows come with the names and types of their columns', async t => {
  const { queries } = await openQueries(t);
  const sql = 'SELECT eid, count(*) AS events, avg(ets) AS mean FROM events GROUP BY eid ORDER BY eid';
  assert.deepEqual(await queries.run(sql), {
    columns: [
      { name: 'eid', type: 'text' },
      { name: 'events', type: 'integer' },
      { name: 'mean', type: 'real' },
    ],
    rows: [
      { eid: 'END', events: 12, mean: 1012 },
      { eid: 'START', events: 13, mean: 1012 },
    ],
    truncated: false,
  });
  for (const relation of READABLE_RELATIONS) {
    assert.equal((await queries.run(`SELECT * FROM ${relation}`)).columns.length > 5, true, relation);
  }
});

test('odd values and names survive', async t => {
  const { queries } = await openQueries(t);
  const answer = await queries.run(`
    SELECT 1 AS "__proto__", 2 AS a, 3 AS a, 9007199254740991 AS safe, 9007199254740993 AS large,
      NULL AS missing, x'00ff' AS blob, 9e999 AS endless, 'é"' || char(0) AS text -- and a comment
    ;`);
  assert.equal(
    JSON.stringify(answer.rows),
    '[{"__proto__":1,"a":2,"a_2":3,"safe":9007199254740991,"large":"9007199254740993",' +
      '"missing":null,"blob":"00ff","endless":null,"text":"é\\"\\u0000"}]',
  );
  assert.deepEqual(
    answer.columns.map(({ type }) => type),
    ['integer', 'integer', 'integer', 'integer', 'integer', 'null', 'text', 'real', 'text'],
  );
});

test('an answer is cut at the row cap and at its size, and says so', async t => {
  const { queries } = await openQueries(t);
  const capped = await queries.run('SELECT mid FROM events ORDER BY "offset"');
  assert.deepEqual([capped.rows.length, capped.truncated], [10, true]);
  assert.equal((await queries.run('SELECT mid FROM events LIMIT 10')).truncated, false);
  const large = await queries.run(
    "SELECT replace(hex(raw), 'A', printf('%.*c', 30000, 'x')) AS large FROM events",
  );
  assert.equal(large.truncated, true);
});

const FORBIDDEN = [
  'SELECT 1; SELECT 2',
  'SELECT 1; DROP TABLE events',
  'SELECT 1 /* a */; DELETE FROM events /* b */',
  'SELECT 1 -- a\n; DELETE FROM events',
  'DELETE FROM events',
  "UPDATE events SET mid = 'x'",
  'INSERT INTO events SELECT * FROM events',
  'WITH x AS (SELECT 1) DELETE FROM events',
  'DROP TABLE events',
  'CREATE TABLE x (y)',
  'CREATE TEMP TABLE x (y)',
  'CREATE TEMP VIEW x AS SELECT 1',
  'CREATE VIRTUAL TABLE x USING fts5(y)',
  "ATTACH 'OUTSIDE' AS x",
  "ATTACH DATABASE ':memory:' AS x",
  'DETACH main',
  "VACUUM INTO 'OUTSIDE'",
  'VACUUM',
  'ANALYZE',
  'REINDEX',
  'PRAGMA database_list',
  'PRAGMA query_only = OFF',
  "SELECT * FROM pragma_table_info('events')",
  'SELECT count(*) FROM pragma_database_list',
  'SELECT * FROM sqlite_master',
  'SELECT count(*) FROM sqlite_schema',
  'SELECT sql FROM sqlite_temp_master',
  'SELECT * FROM dbstat',
  'SELECT * FROM migrations',
  "SELECT load_extension('x')",
  'SELECT fts3_tokenizer(1)',
  'SELECT zeroblob(1000000000)',
  'SELECT randomblob(1000000000)',
  'BEGIN',
  'SAVEPOINT a',
  'EXPLAIN DELETE FROM events',
  'SELECT (SELECT count(name) FROM sqlite_master) FROM events',
];
const INVALID = [
  '',
  ' ',
  '-- nothing',
  'SELEC 1',
  'SELECT nothing FROM events',
  'SELECT * FROM nowhere',
  "SELECT readfile('/etc/passwd')",
  "SELECT writefile('OUTSIDE', 'x')",
  "SELECT getenv('PATH')",
  "SELECT * FROM read_csv('/etc/passwd')",
  "COPY events TO 'OUTSIDE'",
  'INSTALL httpfs',
  "LOAD 'x'",
  '.shell id',
  "SELECT 'a\0b'",
];

test('a query reads the relations and nothing else', async t => {
  const { file, queries } = await openQueries(t, { 'query.concurrentMax': 2 });
  const outside = path.join(path.dirname(file), 'outside.db');
  const refusals = [
    ...FORBIDDEN.map(sql => ({ sql, code: 'ERR_QUERY_FORBIDDEN' })),
    ...INVALID.map(sql => ({ sql, code: 'ERR_QUERY_INVALID' })),
  ];
  for (let at = 0; at < refusals.length; at += 8) {
    await Promise.all(
      refusals
        .slice(at, at + 8)
        .map(({ sql, code }) =>
          assert.rejects(queries.run(sql.replaceAll('OUTSIDE', outside)), { code }, JSON.stringify(sql)),
        ),
    );
  }
  assert.equal(existsSync(outside), false);
  assert.deepEqual(
    readdirSync(path.dirname(file)).filter(name => !name.startsWith('tables.sqlite')),
    [],
  );
  assert.deepEqual((await queries.run('SELECT count(*) AS n FROM events')).rows, [{ n: 25 }]);
});

test('recursion, windows and JSON functions are allowed', async t => {
  const { queries } = await openQueries(t);
  const recursive =
    'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT count(*) AS n FROM c';
  assert.deepEqual((await queries.run(recursive)).rows, [{ n: 5 }]);
  const json = `SELECT raw ->> '$.mid' AS mid, j.key AS key, row_number() OVER (ORDER BY "offset") AS n
    FROM events, json_each(raw) AS j WHERE j.key = 'ets' ORDER BY "offset" LIMIT 1`;
  assert.deepEqual((await queries.run(json)).rows, [{ mid: 'm0', key: 'ets', n: 1 }]);
});

const ENDLESS = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c';

test('a query is killed at its deadline, also where it waits for its turn', async t => {
  const { queries } = await openQueries(t, { 'query.timeoutMs': 500, 'query.concurrentMax': 1 });
  const startedAtMs = Date.now();
  const [first, second] = await Promise.allSettled([queries.run(ENDLESS), queries.run('SELECT 1')]);
  assert.equal(first.status === 'rejected' && first.reason.code, 'ERR_QUERY_TIMEOUT');
  assert.equal(second.status === 'rejected' && second.reason.code, 'ERR_QUERY_TIMEOUT');
  assert.ok(Date.now() - startedAtMs < 3_000);
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

test('too many queries are refused; closing ends those that run and wait', async t => {
  const { queries } = await openQueries(t, { 'query.concurrentMax': 1 });
  const running = Array.from({ length: 33 }, () => queries.run(ENDLESS));
  const settled = Promise.allSettled(running);
  await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_UNAVAILABLE' });
  await queries.close();
  for (const result of await settled) assert.equal(result.status, 'rejected');
  await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_NOT_READY' });
});

test('a file that is not there is the store being away', async () => {
  const queries = createQueryRunner({ file: '/nowhere/tables.sqlite', config: CONFIG });
  await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_UNAVAILABLE' });
});
