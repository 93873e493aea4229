import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { PostgresOptions } from '../../src/adapters/tables/postgres-connection.ts';
import { createPostgresQueryRunner } from '../../src/adapters/tables/postgres-query.ts';
import { readQueryText } from '../../src/adapters/tables/postgres-query-text.ts';
import { openPostgresTables } from '../../src/adapters/tables/postgres-tables.ts';
import { startPostgres } from '../servers/postgres.ts';
import {
  assertRefused,
  ENDLESS,
  insertQueried,
  QUERY_CONTRACT,
  QUERY_LIMITS,
  type QueryLimits,
} from './query-contract.ts';
import { atEnd, NOW_MS, until } from './setting.ts';

const [server, skip] = await startPostgres();

async function fill(options: PostgresOptions): Promise<void> {
  const tables = await openPostgresTables(options, NOW_MS);
  await insertQueried(tables);
  await tables.close();
}

function runner(t: TestContext, options: PostgresOptions, limits: Partial<QueryLimits> = {}) {
  const queries = createPostgresQueryRunner(options, { ...QUERY_LIMITS, ...limits });
  atEnd(t, () => queries.close());
  return queries;
}

const FORBIDDEN = [
  // Other commands.
  "COPY events TO 'OUTSIDE'",
  "COPY events TO PROGRAM 'touch OUTSIDE'",
  'SELECT * INTO other FROM events',
  'SELECT * FROM events FOR UPDATE',
  'WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone',
  "SET statement_timeout TO '0'",
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
  'RESET ROLE',
  'SET ROLE postgres',
  'COMMIT',
  'ROLLBACK',
  'DO $$ BEGIN END $$',
  'LISTEN a',
  'NOTIFY a',
  'CLOSE answer',
  'MOVE answer',
  'PREPARE a AS SELECT 1',
  'LOCK TABLE events',
  "LOAD 'a'",
  'CREATE EXTENSION dblink',
  'CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$',
  "ALTER ROLE postgres PASSWORD 'a'",
  'GRANT ALL ON events TO PUBLIC',
  // Functions that reach out, hold on, change settings or run text.
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT pg_ls_dir('/')",
  "SELECT lo_import('/etc/passwd')",
  "SELECT lo_export(1, 'OUTSIDE')",
  "SELECT lo_from_bytea(0, 'a')",
  'SELECT lo_creat(-1)',
  'SELECT pg_sleep(100)',
  'SELECT pg_advisory_lock(1)',
  'SELECT pg_terminate_backend(1)',
  "SELECT pg_notify('a', 'b')",
  "SELECT set_config('statement_timeout', '0', false)",
  "SELECT current_setting('data_directory')",
  "SELECT query_to_xml('SELECT pg_sleep(100)', true, true, '')",
  "SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a integer)",
  "SELECT ts_stat('SELECT 1')",
  // The same, spelled otherwise.
  'SELECT PG_SLEEP(100)',
  'SELECT "pg_sleep"(100)',
  'SELECT pg_catalog.pg_sleep(100)',
  'SELECT U&"pg_sl\\0065ep"(100)',
  'SELECT/**/pg_sleep/**/(100)',
  "SELECT 'a\\' || pg_sleep(100)::text || ''",
  "SELECT $a$ ' $a$ || pg_sleep(100)::text || $$ ' $$",
  "SELECT 1 /* /* */ ' */ + pg_sleep(100) /* ' */",
  "SELECT 1 -- '\n, pg_sleep(100) -- '",
  'SELECT 1--\r, pg_sleep(100)',
  'SELECT a$$b$$, pg_sleep(100) FROM (SELECT 1 AS a$$b$$) AS x',
  // What tells of the server.
  'SELECT * FROM pg_stat_activity',
  'SELECT * FROM pg_catalog.pg_roles',
  'SELECT * FROM pg_shadow',
  'SELECT * FROM information_schema.tables',
  'SELECT * FROM other',
];
const INVALID = [
  // An escaped quote, which would end a text elsewhere than it seems to, is refused by the server.
  "SELECT E'\\'' || pg_sleep(100)::text || ''",
  "SELECT E'a'\n'\\'' , pg_sleep(100), ' '",
  'SELECT $1',
  "SELECT 'a",
  'SELECT 1 /*',
  'SELECT $a$ b',
  'SELECT 1)',
  "SELECT E'\\''",
  'SELECT 1/0',
];
const ALLOWED = [
  "SELECT 'pg_sleep(1)' AS a, 'it''s -- no /* comment' AS b",
  "SELECT raw::json ->> 'mid' AS mid, pg_typeof(ets)::text AS type FROM events LIMIT 1",
  'SELECT eid AS "a ""b""" FROM events LIMIT 1',
  '(SELECT 1) UNION ALL (SELECT 2)',
  'VALUES (1), (2)',
  'TABLE events',
  'WITH x AS (SELECT * FROM summaries) SELECT count(*) FROM x',
  'SELECT $$ ; DROP TABLE events; $$ AS a',
  "SELECT date_trunc('day', to_timestamp(received_at / 1000)) AS day, count(*) FROM events GROUP BY 1",
  "SELECT count(*) FROM events, json_each(raw::json) WHERE mid ~ '^m[0-9]$'",
];

describe('queries in postgresql', { skip }, () => {
  const open = async (part: Partial<PostgresOptions> = {}): Promise<PostgresOptions> => {
    const options = await server.createDatabase(part);
    await fill(options);
    return options;
  };

  for (const [claim, check] of Object.entries(QUERY_CONTRACT)) {
    it(claim, t => check(async limits => runner(t, await open(), limits)));
  }

  it('a query reaches nothing of PostgreSQL but the relations', async t => {
    const options = await open();
    const queries = runner(t, options);
    await server
      .administer('CREATE TABLE other (a integer); CREATE EXTENSION IF NOT EXISTS lo', options.database)
      .catch(() => server.administer('CREATE TABLE other (a integer)', options.database));
    const outside = path.join(server.data, 'outside');
    const startedAtMs = Date.now();
    await assertRefused(
      queries,
      'ERR_QUERY_FORBIDDEN',
      FORBIDDEN.map(sql => sql.replaceAll('OUTSIDE', outside)),
    );
    await assertRefused(queries, 'ERR_QUERY_INVALID', INVALID);
    assert.ok(Date.now() - startedAtMs < 60_000, 'nothing slept');
    assert.equal(existsSync(outside), false);
    for (const sql of ALLOWED) assert.ok((await queries.run(sql)).columns.length > 0, sql);
    assert.deepEqual((await queries.run('SELECT count(*) AS n FROM events')).rows, [{ n: 25 }]);
  });

  it('the role itself has no right to do more, were a text to get past the look at it', async () => {
    const options = await open();
    await server.administer('CREATE TABLE other (a integer)', options.database);
    const queries = createPostgresQueryRunner(options, QUERY_LIMITS);
    await queries.run('SELECT 1');
    await queries.close();
    const may = async (what: string) => {
      const rows = await server.administer(`SELECT ${what} AS may`, options.database);
      return rows[0]?.['may'];
    };
    const role = `'${options.username}_reader'`;
    for (const relation of ['events', 'failed', 'archive_objects', 'summaries']) {
      assert.equal(await may(`has_table_privilege(${role}, '${relation}', 'SELECT')`), true, relation);
      const writes = 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER';
      assert.equal(await may(`has_table_privilege(${role}, '${relation}', '${writes}')`), false, relation);
    }
    assert.equal(await may(`has_table_privilege(${role}, 'migrations', 'SELECT')`), false);
    assert.equal(await may(`has_table_privilege(${role}, 'other', 'SELECT')`), false);
    assert.equal(await may(`has_schema_privilege(${role}, 'public', 'CREATE')`), false);
    for (const call of ['pg_read_file(text)', 'lo_export(oid, text)', 'lo_import(text)', 'pg_ls_dir(text)']) {
      assert.equal(await may(`has_function_privilege(${role}, '${call}', 'EXECUTE')`), false, call);
    }
    assert.equal(await may(`EXISTS (SELECT FROM pg_auth_members WHERE member = ${role}::regrole)`), false);
  });

  it('values of other types are texts, booleans 1 and 0', async t => {
    const queries = runner(t, await open());
    const { columns, rows } = await queries.run(`
      SELECT true AS yes, false AS no, '\\x00ff'::bytea AS bytes, 'Infinity'::real AS endless, 'NaN'::numeric AS none,
        10000000000000000000000 AS large, 0.1::numeric AS tenth, '2024-05-01'::date AS day,
        '2024-05-01T10:00:00Z'::timestamptz AS time, ARRAY[1, 2] AS list, '{"a": 1}'::jsonb AS document`);
    assert.deepEqual(rows, [
      {
        yes: 1,
        no: 0,
        bytes: '00ff',
        endless: null,
        none: null,
        large: '10000000000000000000000',
        tenth: 0.1,
        day: '2024-05-01',
        time: '2024-05-01 10:00:00+00',
        list: '{1,2}',
        document: '{"a": 1}',
      },
    ]);
    assert.deepEqual(
      columns.map(({ type }) => type),
      ['integer', 'integer', 'text', 'real', 'real', 'integer', 'real', 'text', 'text', 'text', 'text'],
    );
  });

  it('the process holds no more than an answer, however much the server sends', async t => {
    const queries = runner(t, await open(), {
      'query.rowsMax': 1_000_000,
      'query.timeoutMs': 60_000,
    });
    const before = process.memoryUsage.rss();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 5);
    atEnd(t, () => clearInterval(watch));
    const wide = await queries.run("SELECT repeat('x', 1000000) AS text FROM generate_series(1, 500)");
    assert.deepEqual([wide.truncated, wide.rows.length], [true, 16]);
    await assert.rejects(queries.run("SELECT 1 AS a, repeat('x', 50000000) AS text"), {
      code: 'ERR_QUERY_MEMORY',
      why: /first row/,
    });
    const many = await queries.run('SELECT n FROM generate_series(1, 100000000) AS s(n)');
    assert.equal(many.truncated, true);
    t.diagnostic(`at most ${Math.round(most / 1e6)} MB more; ${many.rows.length} rows of a number`);
    assert.ok(most < 300e6, `${most} bytes`);
    await until('nothing runs on', async () => {
      const sql = `SELECT count(*)::integer AS n FROM pg_stat_activity
        WHERE usename LIKE '%_reader' AND state = 'active'`;
      return (await server.administer(sql))[0]?.['n'] === 0;
    });
  });

  it('a value or a sort beyond what the server allows is said to need memory', async t => {
    const queries = runner(t, await open());
    for (const sql of [
      "SELECT repeat('x', 2000000000)",
      "SELECT length(string_agg(repeat('x', 100000000), '')) FROM generate_series(1, 12)",
    ]) {
      await assert.rejects(queries.run(sql), { code: 'ERR_QUERY_MEMORY' }, sql);
    }
  });

  it('what is past its deadline no longer runs on the server', async t => {
    const options = await open();
    const queries = runner(t, options, { 'query.timeoutMs': 700 });
    const slow =
      'SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b, generate_series(1, 3000) c';
    for (const sql of [ENDLESS, slow]) {
      await assert.rejects(queries.run(sql), { code: 'ERR_QUERY_TIMEOUT' }, sql);
    }
    await until('the sessions are gone', async () => {
      const sql = `SELECT count(*)::integer AS n FROM pg_stat_activity WHERE usename = '${options.username}_reader'`;
      return (await server.administer(sql))[0]?.['n'] === 0;
    });
    assert.deepEqual((await queries.run('SELECT 1 AS a')).rows, [{ a: 1 }]);
  });

  it('several processes share the role; a changed password of the owner changes its', async t => {
    const options = await open();
    const others = Array.from({ length: 4 }, () => runner(t, options));
    for (const { rows } of await Promise.all(others.map(queries => queries.run('SELECT 1 AS a')))) {
      assert.deepEqual(rows, [{ a: 1 }]);
    }
    await server.administer(`ALTER ROLE ${options.username} PASSWORD 'other-secret'`);
    const later = runner(t, { ...options, password: 'other-secret' });
    assert.deepEqual((await later.run('SELECT 1 AS a')).rows, [{ a: 1 }]);
    // With the old secret the reader's is the old one as well, and cannot be set again.
    await assert.rejects(others[0]!.run('SELECT 1'), { code: 'ERR_STORE_AUTH' });
    await assert.rejects(others[0]!.run('SELECT 1'), { code: 'ERR_STORE_AUTH' });
    assert.deepEqual((await later.run('SELECT 1 AS a')).rows, [{ a: 1 }]);
  });

  it('a role that somebody dropped is made again', async t => {
    const options = await open();
    const queries = runner(t, options);
    await queries.run('SELECT 1');
    const reader = `${options.username}_reader`;
    await server.administer(`DROP OWNED BY ${reader}; DROP ROLE ${reader}`, options.database);
    await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_AUTH' });
    assert.deepEqual((await queries.run('SELECT count(*) AS n FROM events')).rows, [{ n: 25 }]);
  });

  it('a reader that cannot be made, or that may do too much, is not used', async t => {
    const options = await open();
    await server.administer(`ALTER ROLE ${options.username} NOCREATEROLE`);
    const queries = runner(t, options);
    await assert.rejects(queries.run('SELECT 1'), {
      code: 'ERR_STORE_RIGHTS',
      why: /_reader/,
      remedy: /CREATEROLE/,
    });
    await server.administer(`ALTER ROLE ${options.username} CREATEROLE`);
    assert.equal((await queries.run('SELECT 1')).rows.length, 1, 'the next query makes it');
    await server.administer(`GRANT pg_read_server_files TO ${options.username}_reader`);
    await assert.rejects(runner(t, options).run('SELECT 1'), {
      code: 'ERR_STORE_RIGHTS',
      why: /may do more than read/,
    });
  });

  it('a server that is away is the store being away', async t => {
    const options = await open();
    const queries = runner(t, { ...options, port: 1 });
    await assert.rejects(queries.run('SELECT 1'), { code: 'ERR_STORE_UNAVAILABLE' });
  });
});

describe('texts of queries for postgresql', () => {
  it('are looked at without their texts and comments', () => {
    for (const sql of ALLOWED) assert.equal(readQueryText(sql).refusal, undefined, sql);
    for (const sql of [
      'SELECT pg_sleep(1)',
      'SELECT u&"a"',
      "SELECT ''''||lo_creat(1)||''''",
      '; SELECT 1',
    ]) {
      assert.notEqual(readQueryText(sql).refusal, undefined, sql);
    }
    const long = `SELECT '${'a'.repeat(4_000_000)}' || "${'b'.repeat(1_000_000)}"`;
    assert.equal(readQueryText(long).refusal, undefined);
    assert.match(readQueryText(`${long}, pg_sleep(1)`).refusal ?? '', /pg_sleep/);
  });

  it('end with their statement: spaces, semicolons and comments may follow', () => {
    for (const sql of [
      'SELECT 1;',
      'SELECT 1 ; -- a',
      "SELECT ';' ;; /* ; /* */ SELECT 2 */ ",
      'SELECT $$;$$',
    ]) {
      assert.equal(readQueryText(sql).refusal, undefined, sql);
    }
    for (const sql of ['SELECT 1; SELECT 2', 'SELECT 1;$$a$$', "SELECT 1; 'a'", 'SELECT 1;--\n2']) {
      assert.equal(readQueryText(sql).refusal, 'there is more than one statement', sql);
    }
  });
});
