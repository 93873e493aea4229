import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import type { PostgresOptions } from '../../src/adapters/tables/postgres-connection.ts';
import { connectPostgres } from '../../src/adapters/tables/postgres-database.ts';
import { openPostgresReader, openPostgresTables } from '../../src/adapters/tables/postgres-tables.ts';
import { decodeText, encodeText } from '../../src/adapters/tables/postgres-text.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { READABLE_RELATIONS, RELATIONS, type TableRow } from '../../src/core/relations.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { startPostgres } from '../servers/postgres.ts';
import { READER_CONTRACT } from './reader-contract.ts';
import { SCHEMA_CONTRACT } from './schema-contract.ts';
import {
  append,
  atEnd,
  ENVIRONMENT,
  logRecord,
  mountSmallDisk,
  NOW_MS,
  startTables,
  TOPIC_SPECS,
  until,
} from './setting.ts';
import { STORE_CONTRACT } from './store-contract.ts';

const [server, skip] = await startPostgres();

const CONTEXT = { environment: ENVIRONMENT, redactEids: [] };

/** The row of the event `m<offset>`, with a value of about 1 KB. */
function eventRows(offset: number): readonly TableRow[] {
  const value = JSON.stringify({ mid: `m${offset}`, i: offset, text: 'x'.repeat(1000) });
  return tableRowsOf(logRecord('druid.events.telemetry', value, { offset }), ENVIRONMENT);
}

async function openTables(t: TestContext, options: PostgresOptions) {
  const tables = await openPostgresTables(options, NOW_MS);
  atEnd(t, () => tables.close());
  return tables;
}

function openReader(t: TestContext, options: PostgresOptions) {
  const reader = openPostgresReader(options, CONTEXT);
  atEnd(t, () => reader.close());
  return reader;
}

describe('tables in postgresql', { skip }, () => {
  for (const [claim, check] of Object.entries(STORE_CONTRACT)) {
    it(claim, async t => check(await openTables(t, await server.createDatabase())));
  }
  for (const [claim, check] of Object.entries(SCHEMA_CONTRACT)) {
    it(claim, async () => {
      const options = await server.createDatabase();
      await check(() => connectPostgres(options, 'writer'));
    });
  }
  for (const [claim, check] of Object.entries(READER_CONTRACT)) {
    it(claim, async t => {
      const options = await server.createDatabase();
      await check({ tables: await openTables(t, options), reader: openReader(t, options) });
    });
  }

  it('the schema has the columns that the relations name', async t => {
    const options = await server.createDatabase();
    await openTables(t, options);
    for (const [relation, columns] of Object.entries(RELATIONS)) {
      const sql = `SELECT column_name FROM information_schema.columns WHERE table_name = '${relation}'`;
      const rows = await server.administer(sql, options.database);
      assert.deepEqual(rows.map(row => String(row['column_name'])).sort(), [...columns].sort(), relation);
    }
  });

  it('processes that start at once make each schema change once; a newer schema is refused', async t => {
    const options = await server.createDatabase();
    const opened = await Promise.all(
      Array.from({ length: 6 }, (_, i) => openPostgresTables(options, NOW_MS + i)),
    );
    for (const tables of opened) await tables.close();
    const ledger = await server.administer('SELECT number FROM migrations ORDER BY number', options.database);
    assert.ok(ledger.length >= 4);
    for (const [i, row] of ledger.entries()) assert.equal(row['number'], i + 1);
    await (await openTables(t, options)).insert(eventRows(0));
    const later = `INSERT INTO migrations VALUES (${ledger.length + 1}, 'later.sql', 0)`;
    await server.administer(later, options.database);
    await assert.rejects(openPostgresTables(options, NOW_MS), { code: 'ERR_DATA_FORMAT' });
  });

  it('look-ups and pages are served by an index, in order, without sorting', async t => {
    const options = await server.createDatabase();
    const tables = await openTables(t, options);
    await tables.insert(Array.from({ length: 5000 }, (_, i) => eventRows(i)).flat());
    await server.administer('ANALYZE', options.database);
    const plan = async (sql: string) =>
      (await server.administer(`EXPLAIN ${sql}`, options.database)).map(row => row['QUERY PLAN']).join('\n');
    const order = 'ORDER BY received_at DESC, topic DESC, partition DESC, "offset" DESC LIMIT 10000';
    const page = await plan(
      `SELECT mid FROM events WHERE received_at < 9007199254740991 ${order.replace('10000', '100')}`,
    );
    assert.match(page, /Index Scan Backward using events_received_at/);
    assert.doesNotMatch(page, /Sort/);
    assert.match(await plan("SELECT * FROM events WHERE mid = 'm7'"), /events_mid/);
  });

  it('what cannot be reached, entered or written is named', async () => {
    const options = await server.createDatabase();
    const listener = createServer(socket => socket.destroy()).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    const closed = typeof address === 'object' && address !== null ? address.port : 0;
    const fails = async (part: Partial<PostgresOptions>, code: string, why: RegExp) => {
      const opening = openPostgresTables({ ...options, ...part }, NOW_MS);
      await assert.rejects(opening, (error: unknown) => {
        assert.ok(error instanceof MillraceError, String(error));
        assert.equal(error.code, code, error.why);
        assert.match(error.why, why);
        assert.doesNotMatch(`${error.why} ${error.remedy} ${error.stack}`, /owner-of-a-test|wrong-secret/);
        return true;
      });
    };
    await fails({ port: 1 }, 'ERR_STORE_UNAVAILABLE', /ECONNREFUSED/);
    await fails({ port: closed }, 'ERR_STORE_UNAVAILABLE', /terminated|ECONNRESET/);
    await fails({ host: 'nowhere.invalid' }, 'ERR_STORE_UNAVAILABLE', /nowhere\.invalid/);
    await fails({ database: 'nowhere' }, 'ERR_STORE_UNAVAILABLE', /"nowhere" does not exist/);
    await fails({ password: 'wrong-secret' }, 'ERR_STORE_AUTH', /password authentication failed/);
    await fails({ password: '' }, 'ERR_STORE_AUTH', /password/);
    await fails({ username: 'nobody' }, 'ERR_STORE_AUTH', /nobody/);
    await fails({ tls: true }, 'ERR_STORE_UNAVAILABLE', /does not support SSL/);
    await fails({ tls: true, caFile: '/nowhere/ca.pem' }, 'ERR_FILE_UNREADABLE', /nowhere/);
    listener.close();

    const stranger = await server.createDatabase();
    await fails({ database: stranger.database }, 'ERR_STORE_RIGHTS', /permission denied for schema public/);
    await server.administer(`ALTER DATABASE ${options.database} SET default_transaction_read_only TO on`);
    await fails({}, 'ERR_STORE_READ_ONLY', /read-only/);
  });

  it('a right that is taken away stops the inserts by name until it is back', async t => {
    const options = await server.createDatabase();
    const tables = await openTables(t, options);
    await server.administer(`ALTER TABLE events OWNER TO postgres`, options.database);
    await assert.rejects(tables.insert(eventRows(0)), { code: 'ERR_STORE_RIGHTS' });
    await server.administer(`ALTER TABLE events OWNER TO ${options.username}`, options.database);
    await tables.insert(eventRows(0));
  });

  it('statements end at their time, and the pool at its size', async t => {
    const options = await server.createDatabase({ statementMsMax: 2_000, poolMax: 3 });
    const tables = await openTables(t, options);
    const reader = openReader(t, options);
    await tables.insert(eventRows(0));
    const answers = await Promise.all(Array.from({ length: 40 }, () => reader.events({})));
    assert.ok(answers.every(({ events }) => events.length === 1));
    const [sessions] = await server.administer(
      `SELECT count(*)::integer AS n FROM pg_stat_activity WHERE usename = '${options.username}'`,
    );
    assert.ok(Number(sessions?.['n']) <= 3, `${sessions?.['n']} connections`);
    const holder = 'BEGIN; LOCK TABLE events; SELECT pg_sleep(600)';
    const ended = assert.rejects(server.administer(holder, options.database), /terminat/);
    const locks = `SELECT pid FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'
      AND relation = (SELECT oid FROM pg_class WHERE relname = 'events')`;
    await until('it is locked', async () => (await server.administer(locks, options.database)).length === 1);
    await assert.rejects(tables.insert(eventRows(1)), {
      code: 'ERR_STORE_UNAVAILABLE',
      why: /statement timeout/,
    });
    await server.administer(`SELECT pg_terminate_backend(pid) FROM (${locks}) AS holder`, options.database);
    await ended;
    await tables.insert(eventRows(1));
    assert.equal((await reader.events({})).events.length, 2);
  });

  it('a full disk is said to be one, waited out, and nothing is lost or twice', async t => {
    const folder = mountSmallDisk(t, 8 * 1024 * 1024);
    if (folder === undefined) {
      t.skip('needs the right to mount a tmpfs');
      return;
    }
    const place = join(folder, 'tables');
    await mkdir(place);
    execFileSync('chown', ['postgres:postgres', place]);
    await server.administer(`CREATE TABLESPACE small LOCATION '${place}'`);
    const options = await server.createDatabase();
    // Closed before the disk goes away.
    const tables = await openPostgresTables(options, NOW_MS);
    await server.administer('ALTER TABLE events SET TABLESPACE small', options.database);
    // Less is left than the rows take.
    await writeFile(join(folder, 'filler'), new Uint8Array(7 * 1024 * 1024));
    const log = openMemoryLog(TOPIC_SPECS);
    const sink = await startTables(t, log, tables);
    for (let i = 0; i < 1500; i++) {
      const value = JSON.stringify({ mid: `m${i}`, text: 'x'.repeat(1000) });
      await append(log, 'druid.events.telemetry', { value });
    }
    await until('it says so', () => sink.trouble()?.code === 'ERR_STORE_FULL');
    assert.match(sink.trouble()?.why ?? '', /No space left/);
    assert.equal(sink.isCaughtUp(), false);
    await writeFile(join(folder, 'filler'), '');
    await until('all are stored', () => sink.isCaughtUp() && sink.trouble() === null);
    assert.deepEqual(await countsOf(options), { n: 1500, mids: 1500, last: 1499, wrong: 0 });
    await sink.stop();
    await tables.close();
    await server.administer(`DROP DATABASE ${options.database}`);
    await server.administer('DROP TABLESPACE small');
  });

  it('every relation can be read', async t => {
    const options = await server.createDatabase();
    await openTables(t, options);
    for (const relation of READABLE_RELATIONS) {
      assert.deepEqual(await server.administer(`SELECT * FROM ${relation}`, options.database), []);
    }
  });
});

async function countsOf(options: PostgresOptions): Promise<unknown> {
  const [row] = await server.administer(
    `SELECT count(*)::integer AS n, count(DISTINCT mid)::integer AS mids, max("offset")::integer AS last,
       count(*) FILTER (WHERE raw::json ->> 'mid' <> mid)::integer AS wrong FROM events`,
    options.database,
  );
  return { ...row };
}

describe('a postgresql server', { skip }, () => {
  it('killed again and again is waited for: nothing is lost and nothing twice', async t => {
    const options = await server.createDatabase();
    const tables = await openTables(t, options);
    const reader = openReader(t, options);
    const log = openMemoryLog(TOPIC_SPECS);
    const sink = await startTables(t, log, tables);
    let sent = 0;
    const send = async (count: number) => {
      for (const end = sent + count; sent < end; sent++) {
        const value = JSON.stringify({ mid: `m${sent}`, text: 'x'.repeat(1000) });
        await append(log, 'druid.events.telemetry', { value });
      }
    };
    const stored = async () => (await reader.events({ limit: 1 })).events[0]?.offset ?? -1;
    for (let round = 0; round < 2; round++) {
      const last = sent;
      await send(1000);
      await until('some of the round are in', async () => (await stored()) >= last);
      await server.kill();
      await send(100);
      const isSaid = until('it says so', () => sink.trouble()?.code === 'ERR_STORE_UNAVAILABLE');
      await Promise.race([isSaid, sink.done.then(() => assert.fail('the sink has ended'))]);
      await assert.rejects(reader.events({}), { code: 'ERR_STORE_UNAVAILABLE' });
      await server.start();
    }
    await until('all are stored', () => sink.isCaughtUp() && sink.trouble() === null, 30_000);
    assert.deepEqual(await countsOf(options), { n: sent, mids: sent, last: sent - 1, wrong: 0 });
    assert.equal((await reader.events({})).events.length, 100, 'the reader is back by itself');
  });
});

describe('tables in postgresql over TLS', { skip }, () => {
  it('rows go through it; a server that another authority signed is refused', async t => {
    const caFile = await turnTlsOn();
    const options = { ...(await server.createDatabase()), tls: true, caFile };
    const tables = await openTables(t, options);
    await tables.insert(eventRows(0));
    const [row] = await server.administer(
      `SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
       WHERE usename = '${options.username}'`,
    );
    assert.equal(row?.['ssl'], true);
    await assert.rejects(openPostgresTables({ ...options, caFile: '' }, NOW_MS), {
      code: 'ERR_STORE_UNAVAILABLE',
      why: /certificate/,
    });
  });
});

/** Gives the server a certificate for 127.0.0.1; resolves with the file of the authority that signed it. */
async function turnTlsOn(): Promise<string> {
  const cwd = server.folder;
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority'];
  openssl('req', '-x509', ...key, ...ca);
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  await writeFile(join(cwd, 'names'), 'subjectAltName=IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.crt', ...signed);
  for (const name of ['server.key', 'server.crt']) {
    await copyFile(join(cwd, name), join(server.data, name));
    execFileSync('chmod', ['0600', join(server.data, name)]);
    if (process.getuid?.() === 0) execFileSync('chown', ['postgres:postgres', join(server.data, name)]);
  }
  await server.administer('ALTER SYSTEM SET ssl TO on');
  await server.administer('SELECT pg_reload_conf()');
  await until('it speaks TLS', async () => (await server.administer('SHOW ssl'))[0]?.['ssl'] === 'on');
  return join(cwd, 'ca.pem');
}

describe('texts for postgresql', () => {
  it('come back as they went in, without U+0000 in between', () => {
    for (const text of ['', 'a', '\0', 'a\0\0b', '\uffff', '\uffff0', '\0\uffff\0', '\uffff\uffff\0']) {
      assert.equal(encodeText(text).includes('\0'), false);
      assert.equal(decodeText(encodeText(text)), text, JSON.stringify(text));
    }
  });
});
