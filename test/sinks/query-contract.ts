import assert from 'node:assert/strict';
import type { Config } from '../../src/config/options.ts';
import type { QueryRunner, TableStore } from '../../src/core/ports.ts';
import { READABLE_RELATIONS } from '../../src/core/relations.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { EXAMPLES } from '../../src/services/console/model/examples.ts';
import { groupsSql, timesSql } from '../../src/services/console/model/rejections.ts';
import { ENVIRONMENT, logRecord } from './setting.ts';

/** What a query may take. */
export type QueryLimits = Pick<
  Config,
  'query.timeoutMs' | 'query.rowsMax' | 'query.memoryBytesMax' | 'query.concurrentMax'
>;

export const QUERY_LIMITS: QueryLimits = {
  // It counts from the call: of eight at once, two run, and the last waits for six processes to start before its own.
  'query.timeoutMs': 60_000,
  'query.rowsMax': 10,
  'query.memoryBytesMax': 96 * 1024 * 1024,
  'query.concurrentMax': 2,
};

/**
 * Puts 25 events into the tables: `m0` to `m24`, START (with a page) and END by turns, `ets` from 1000 on, each
 * fifth of device `d0`, the others of `d1`; and four that were rejected.
 */
export async function insertQueried(tables: TableStore): Promise<void> {
  for (let offset = 0; offset < 25; offset++) {
    const value = {
      eid: offset % 2 === 0 ? 'START' : 'END',
      mid: `m${offset}`,
      ets: 1000 + offset,
      context: { did: offset % 5 === 0 ? 'd0' : 'd1' },
      edata: offset % 2 === 0 ? { pageid: offset % 4 === 0 ? 'home' : 'list', steps: [{ at: offset }] } : {},
    };
    const record = logRecord('druid.events.telemetry', JSON.stringify(value), { offset });
    await tables.insert(tableRowsOf(record, ENVIRONMENT));
  }
  for (let offset = 0; offset < 4; offset++) {
    const code = offset === 0 ? 'ERR_TIME_INVALID' : 'ERR_SCHEMA_VIOLATION';
    const headers = { code, reason: 'is required', pointer: '/actor' };
    await tables.insert(tableRowsOf(logRecord('telemetry.failed', '{}', { offset, headers }), ENVIRONMENT));
  }
}

/** What the console's examples answer then, by the names of their buttons. */
const EXAMPLE_ROWS: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  'By kind': [
    { eid: 'START', events: 13 },
    { eid: 'END', events: 12 },
  ],
  'Each minute': [{ minute_utc: '1970-01-01T00:00', events: 25 }],
  'Busiest devices': [
    { did: 'd1', events: 20, last_event: '1970-01-01T00:00:01.024Z' },
    { did: 'd0', events: 5, last_event: '1970-01-01T00:00:01.020Z' },
  ],
  Rejected: [
    { code: 'ERR_SCHEMA_VIOLATION', pointer: '/actor', reason: 'is required', events: 3 },
    { code: 'ERR_TIME_INVALID', pointer: '/actor', reason: 'is required', events: 1 },
  ],
  'Inside events': [
    { eid: 'START', page: 'home', events: 7 },
    { eid: 'START', page: 'list', events: 6 },
  ],
};

/** A text of 10 characters doubled so often, as both databases make it. */
const doubled = (times: number): string =>
  `WITH RECURSIVE c(n, t) AS (SELECT 0, 'xxxxxxxxxx' UNION ALL SELECT n + 1, t || t FROM c WHERE n < ${times})`;

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
  'CREATE TABLE x (y INTEGER)',
  'CREATE TEMP TABLE x (y INTEGER)',
  'VACUUM',
  'ANALYZE',
  'BEGIN',
  'SAVEPOINT a',
  'EXPLAIN DELETE FROM events',
  'SELECT * FROM migrations',
];
const INVALID = [
  '',
  ' ',
  '-- nothing',
  'SELEC 1',
  'SELECT nothing FROM events',
  'SELECT * FROM nowhere',
  "SELECT readfile('/etc/passwd')",
  "SELECT getenv('PATH')",
  '.shell id',
  "SELECT 'a\0b'",
];
export const ENDLESS =
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c';

/** Asserts that each query is refused with the code, eight at a time. */
export async function assertRefused(
  queries: QueryRunner,
  code: string,
  texts: readonly string[],
): Promise<void> {
  for (let at = 0; at < texts.length; at += 8) {
    const some = texts.slice(at, at + 8);
    await Promise.all(some.map(sql => assert.rejects(queries.run(sql), { code }, JSON.stringify(sql))));
  }
}

type OpenQueries = (limits?: Partial<QueryLimits>) => Promise<QueryRunner>;

/** What the SQL of users gets, whatever store answers it; the tables hold {@link insertQueried}. */
export const QUERY_CONTRACT: Readonly<Record<string, (open: OpenQueries) => Promise<void>>> = {
  'rows come with the names and types of their columns': async open => {
    const queries = await open();
    const sql = `SELECT eid, count(*) AS events, sum(ets) AS total, avg(ets) AS mean FROM events
      GROUP BY eid ORDER BY eid`;
    assert.deepEqual(await queries.run(sql), {
      columns: [
        { name: 'eid', type: 'text' },
        { name: 'events', type: 'integer' },
        { name: 'total', type: 'integer' },
        { name: 'mean', type: 'real' },
      ],
      rows: [
        { eid: 'END', events: 12, total: 12_144, mean: 1012 },
        { eid: 'START', events: 13, total: 13_156, mean: 1012 },
      ],
      truncated: false,
    });
    for (const relation of READABLE_RELATIONS) {
      assert.equal((await queries.run(`SELECT * FROM ${relation}`)).columns.length > 5, true, relation);
    }
    const columns = 'mid, ets, ets_time, "partition", "offset", received_at';
    assert.deepEqual(
      (await queries.run(`SELECT ${columns} FROM events WHERE mid = 'none'`)).columns.map(({ type }) => type),
      ['text', 'integer', 'text', 'integer', 'integer', 'integer'],
    );
  },

  'odd values and names survive': async open => {
    const queries = await open();
    const answer = await queries.run(`
      SELECT 1 AS "__proto__", 2 AS a, 3 AS a, 9007199254740992 AS safe, 9007199254740993 AS large,
        -9007199254740992 AS low, -9007199254740993 AS lower,
        NULL AS missing, 1.5 AS half, 'é"?' AS text -- and a comment
      ;`);
    assert.equal(
      JSON.stringify(answer.rows),
      '[{"__proto__":1,"a":2,"a_2":3,"safe":9007199254740992,"large":"9007199254740993",' +
        '"low":-9007199254740992,"lower":"-9007199254740993","missing":null,"half":1.5,"text":"é\\"?"}]',
    );
    assert.deepEqual(
      answer.columns.filter(({ name }) => name !== 'missing').map(({ type }) => type),
      ['integer', 'integer', 'integer', 'integer', 'integer', 'integer', 'integer', 'real', 'text'],
    );
  },

  'an answer is cut at the row cap, and says so': async open => {
    const queries = await open();
    const capped = await queries.run('SELECT mid FROM events ORDER BY "offset"');
    assert.deepEqual([capped.rows.length, capped.truncated], [10, true]);
    assert.deepEqual(capped.rows.at(-1), { mid: 'm9' });
    assert.equal((await queries.run('SELECT mid FROM events LIMIT 10')).truncated, false);
  },

  'a query reads the relations and nothing else': async open => {
    const queries = await open();
    await assertRefused(queries, 'ERR_QUERY_FORBIDDEN', FORBIDDEN);
    await assertRefused(queries, 'ERR_QUERY_INVALID', INVALID);
    assert.deepEqual((await queries.run('SELECT count(*) AS n FROM events')).rows, [{ n: 25 }]);
  },

  'the examples of the console answer': async open => {
    const queries = await open();
    for (const [name, sql] of EXAMPLES) {
      const { columns, rows, truncated } = await queries.run(sql);
      assert.deepEqual([rows, truncated], [EXAMPLE_ROWS[name], false], name);
      assert.deepEqual(
        columns.map(column => column.name),
        Object.keys(EXAMPLE_ROWS[name]![0]!),
        name,
      );
    }
  },

  'what the console asks of rejections is answered, and bounded by the newest': async open => {
    const queries = await open();
    const counted = async (groupedMax?: number) =>
      (await queries.run(groupsSql(0, '', groupedMax))).rows.map(({ code, count }) => [code, count]);
    assert.deepEqual(await counted(), [
      ['ERR_SCHEMA_VIOLATION', 3],
      ['ERR_TIME_INVALID', 1],
    ]);
    assert.deepEqual(await counted(2), [['ERR_SCHEMA_VIOLATION', 2]]);
    const [first] = (await queries.run(groupsSql(0, ''))).rows;
    assert.match(String(first?.['newest']), /^\d+ local\.telemetry\.failed:0:[123]$/);
    assert.deepEqual((await queries.run(groupsSql(0, "o'job"))).rows, []);
    const times = (await queries.run(timesSql(0, '', 60_000))).rows;
    assert.deepEqual(
      times.map(({ code, count }) => [code, count]),
      [
        ['ERR_SCHEMA_VIOLATION', 3],
        ['ERR_TIME_INVALID', 1],
      ],
    );
  },

  'events can be read inside': async open => {
    const queries = await open();
    const sql = `SELECT raw ->> '$.mid' AS mid, raw -> 'edata' ->> 'pageid' AS page, raw ->> 'eid' AS eid,
      raw -> '$.edata.steps[0]' AS step, raw ->> '$.edata.nothing' AS missing,
      json_valid(raw) AS valid, json_valid('{"a"') AS broken FROM events WHERE mid = 'm4'`;
    const inside = { mid: 'm4', page: 'home', eid: 'START', step: '{"at":4}', missing: null };
    const row = { ...inside, valid: 1, broken: 0 };
    assert.deepEqual((await queries.run(sql)).rows, [row]);
  },

  'a row that no answer has room for is refused, not gathered': async open => {
    const queries = await open();
    for (const times of [21, 23]) {
      const sql = `${doubled(times)} SELECT n, t FROM c WHERE n = ${times}`;
      await assert.rejects(queries.run(sql), { code: 'ERR_QUERY_MEMORY' }, `${times}`);
    }
  },

  'an answer is cut at its size, and says so': async open => {
    const queries = await open({ 'query.rowsMax': 100 });
    const { rows, truncated } = await queries.run(`${doubled(17)} SELECT mid, t FROM c, events WHERE n = 17`);
    assert.deepEqual([rows.length, truncated], [12, true], '12 rows of 1.3 MB fit into 16 MiB');
  },

  'recursion and windows are allowed': async open => {
    const queries = await open();
    const recursive = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5)
      SELECT count(*) AS n FROM c`;
    assert.deepEqual((await queries.run(recursive)).rows, [{ n: 5 }]);
    const windowed = 'SELECT mid, row_number() OVER (ORDER BY "offset") AS n FROM events ORDER BY 2 LIMIT 1';
    assert.deepEqual((await queries.run(windowed)).rows, [{ mid: 'm0', n: 1 }]);
  },

  'a query is ended at its deadline, also where it waits for its turn': async open => {
    const queries = await open({ 'query.timeoutMs': 500, 'query.concurrentMax': 1 });
    const startedAtMs = Date.now();
    const [first, second] = await Promise.allSettled([queries.run(ENDLESS), queries.run('SELECT 1')]);
    assert.equal(first.status === 'rejected' && first.reason.code, 'ERR_QUERY_TIMEOUT');
    assert.equal(second.status === 'rejected' && second.reason.code, 'ERR_QUERY_TIMEOUT');
    assert.ok(Date.now() - startedAtMs < 3_000);
  },

  'too many queries are refused; closing ends those that run and wait': async open => {
    const queries = await open({ 'query.concurrentMax': 1 });
    const running = Array.from({ length: 33 }, () => queries.run(ENDLESS));
    const settled = Promise.allSettled(running);
    await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_UNAVAILABLE' });
    await queries.close();
    for (const result of await settled) assert.equal(result.status, 'rejected');
    await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_NOT_READY' });
  },
};
