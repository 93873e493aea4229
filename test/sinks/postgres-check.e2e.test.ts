import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checkPostgres } from '../../src/adapters/tables/postgres-check.ts';
import type { PostgresOptions } from '../../src/adapters/tables/postgres-connection.ts';
import { prepareReader } from '../../src/adapters/tables/postgres-reader-role.ts';
import { openPostgresTables } from '../../src/adapters/tables/postgres-tables.ts';
import type { StatusDocument } from '../../src/core/documents.ts';
import type { ChecksDocument } from '../../src/core/operation-documents.ts';
import { Millrace } from '../e2e/millrace.ts';
import { startPostgres } from '../servers/postgres.ts';
import { atEnd, NOW_MS } from './setting.ts';

const [server, skip] = await startPostgres();

/** `severity code` of each finding, with what the remedy of an error must name. */
async function found(options: PostgresOptions, queriesMax = 2): Promise<readonly string[]> {
  const { findings } = await checkPostgres(options, { queriesMax });
  for (const { problem, remedy } of findings) {
    assert.ok(problem !== '' && remedy !== '');
    assert.ok(!`${problem} ${remedy}`.includes(options.password), 'no secret');
  }
  return findings.map(({ severity, code }) => `${severity} ${code}`);
}

describe('a check of postgresql', { skip }, () => {
  it('finds nothing wrong before the tables are made and after, and makes nothing itself', async () => {
    const options = await server.createDatabase();
    const { version, findings } = await checkPostgres(options, { queriesMax: 2 });
    assert.match(version, /^PostgreSQL \d+\.\d+/);
    assert.deepEqual(findings, []);
    const made = `SELECT rolname FROM pg_roles WHERE rolname = '${options.username}_reader'`;
    assert.deepEqual(await server.administer(made), []);
    await (await openPostgresTables(options, NOW_MS)).close();
    assert.deepEqual(await found(options), []);
    assert.deepEqual(await server.administer(made), []);
  });

  it('says that the server is away, and that it refuses the login', async () => {
    const options = await server.createDatabase();
    await assert.rejects(checkPostgres({ ...options, port: 1 }), { code: 'ERR_STORE_UNAVAILABLE' });
    await assert.rejects(checkPostgres({ ...options, password: 'wrong' }), { code: 'ERR_STORE_AUTH' });
  });

  it('names the right that is missing', async () => {
    const options = await server.createDatabase();
    const stranger = await server.createDatabase();
    const elsewhere = { ...stranger, database: options.database };
    const { findings } = await checkPostgres(elsewhere);
    assert.deepEqual(
      findings.map(({ code, problem }) => [code, problem]),
      [
        [
          'ERR_STORE_RIGHTS',
          `${stranger.username} may not create tables in the schema public of ${options.database}`,
        ],
      ],
    );
    // The remedy is what an administrator types.
    await server.administer(findings[0]!.remedy.replace('As an administrator: ', ''), options.database);
    assert.deepEqual(await found(elsewhere), []);

    await (await openPostgresTables(options, NOW_MS)).close();
    await server.administer('ALTER TABLE events OWNER TO postgres', options.database);
    const owned = (await checkPostgres(options)).findings;
    assert.deepEqual(
      owned.map(({ code, problem }) => [code, problem]),
      [['ERR_STORE_RIGHTS', `${options.username} does not own events`]],
    );
  });

  it('says whether SQL of users could run', async () => {
    const options = await server.createDatabase();
    await (await openPostgresTables(options, NOW_MS)).close();
    await server.administer(`ALTER ROLE ${options.username} NOCREATEROLE`);
    const { findings } = await checkPostgres(options);
    assert.deepEqual(await found(options), ['error ERR_STORE_RIGHTS']);
    assert.match(findings[0]!.remedy, /CREATEROLE/);
    await server.administer(`ALTER ROLE ${options.username} CREATEROLE`);
    await prepareReader(options);
    await server.administer(`ALTER ROLE ${options.username} NOCREATEROLE`);
    assert.deepEqual(await found(options), [], 'the role is there, the right is needed no more');
    await server.administer(`GRANT pg_read_server_files TO ${options.username}_reader`);
    assert.deepEqual(await found(options), ['error ERR_STORE_RIGHTS']);
  });

  it('tells a database that takes no writes, one of another encoding, and too few connections', async () => {
    const options = await server.createDatabase();
    assert.deepEqual(await found(options, 1000), ['warning ERR_NOT_READY']);
    await server.administer(`ALTER DATABASE ${options.database} SET default_transaction_read_only TO on`);
    assert.deepEqual(await found(options), ['error ERR_STORE_READ_ONLY']);
    await server.administer(
      `CREATE DATABASE latin OWNER ${options.username} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`,
    );
    assert.deepEqual(await found({ ...options, database: 'latin' }), ['error ERR_NOT_READY']);
  });

  it('doctor and up name what is wrong, with what to do', async t => {
    const options = await server.createDatabase();
    const millrace = await Millrace.create();
    atEnd(t, () => millrace.remove());
    const secret = join(millrace.data, 'password');
    await writeFile(secret, options.password, { mode: 0o600 });
    const settings = [
      'tables.adapter=postgresql',
      `postgres.port=${options.port}`,
      `postgres.database=${options.database}`,
      `postgres.username=${options.username}`,
      `postgres.password=file:${secret}`,
    ].flatMap(set => ['--set', set]);
    const doctor = async () => {
      const { checks } = await millrace.json<ChecksDocument>(['doctor', ...settings]);
      return checks.filter(({ id }) => id === 'postgres');
    };
    const [fine] = await doctor();
    assert.equal(fine?.ok, true, fine?.found);
    assert.match(fine.found, /^PostgreSQL \d/);

    await server.administer(`ALTER ROLE ${options.username} NOCREATEROLE`);
    const [refused, ...others] = await doctor();
    assert.deepEqual(others, []);
    assert.deepEqual([refused?.ok, refused?.severity], [false, 'block']);
    assert.match(refused!.found, /ERR_STORE_RIGHTS/);
    assert.match(refused!.remedy, /CREATEROLE/);
    const up = await millrace.run(['up', '--port', '0', ...settings]);
    assert.equal(up.code, 1, up.stderr);
    assert.match(up.stderr, /may not create or change the role/);
    assert.match(up.stderr, /CREATEROLE/);

    await writeFile(secret, 'wrong');
    const [login] = await doctor();
    assert.match(login!.found, /refuses the login/);
    assert.doesNotMatch(`${login!.found} ${login!.remedy}`, /wrong/);
  });

  it('status names a server that went away; what came meanwhile is stored once it is back', async t => {
    const options = await server.createDatabase();
    const millrace = await Millrace.create([
      'tables.adapter=postgresql',
      `postgres.port=${options.port}`,
      `postgres.database=${options.database}`,
      `postgres.username=${options.username}`,
    ]);
    atEnd(t, () => millrace.remove());
    const secret = join(millrace.data, 'password');
    await writeFile(secret, options.password, { mode: 0o600 });
    await millrace.up([`postgres.password=file:${secret}`]);
    const send = async (mid: string) => {
      const event = await readFile(new URL('../../fixtures/valid/impression.json', import.meta.url), 'utf8');
      const events = [{ ...JSON.parse(event), mid, ets: Date.now() }];
      const body = JSON.stringify({ id: 'api.telemetry', ver: '3.0', ets: Date.now(), events });
      const headers = { 'content-type': 'application/json' };
      const { status } = await millrace.fetch('/v1/telemetry', { method: 'POST', headers, body });
      assert.equal(status, 200);
    };
    const tables = async () => {
      const { components } = (await (await millrace.fetch('/v1/status')).json()) as StatusDocument;
      return components.find(({ name }) => name === 'tables')!;
    };
    await send('before');
    await millrace.idle();
    assert.equal((await tables()).state, 'ok');
    await server.kill();
    const away = await tables();
    assert.equal(away.state, 'degraded');
    assert.match(away.detail, /a store does not answer: PostgreSQL test_\d+@127\.0\.0\.1/);
    await send('meanwhile');
    await server.start();
    await millrace.idle();
    assert.equal((await tables()).state, 'ok');
    const sql =
      "SELECT mid, count(*)::integer AS n FROM events WHERE eid = 'IMPRESSION' GROUP BY mid ORDER BY mid";
    assert.deepEqual(
      (await server.administer(sql, options.database)).map(({ mid, n }) => [mid, n]),
      [
        ['before', 1],
        ['meanwhile', 1],
      ],
    );
  });
});
