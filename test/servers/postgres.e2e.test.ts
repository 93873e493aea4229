import assert from 'node:assert/strict';
import { readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { stopServers } from '../../src/operations/provision/servers.ts';
import { bringUpServers, planServers } from './bring-up.ts';
import { serversContext, wanting } from './servers.ts';

const context = await serversContext(wanting('postgres'));
const { host } = context;
const root = join(context.dataDirectory, 'test');
const data = join(root, 'servers/postgres/data');

const observed = async () => (await planServers(context))[0]!.observed;

/** Runs SQL as a role, through a psql of its own: the one beside the server. */
async function query(sql: string, role = 'millrace') {
  const { base } = JSON.parse(await readFile(join(root, 'ports.json'), 'utf8')) as { base: number };
  const { pid } = await host.process('postgres');
  const programs = dirname(await readlink(`/proc/${pid}/exe`));
  const address = `host=127.0.0.1 port=${base + 8} user=${role} dbname=millrace`;
  const env = {
    PGPASSFILE: join(root, 'secrets/postgres-passwords'),
    LD_LIBRARY_PATH: join(programs, '../../../x86_64-linux-gnu'),
  };
  const argv = [join(programs, 'psql'), '-XwqAt', '-d', address];
  return await host.exec(argv, { env, input: sql, timeoutMs: 30_000 });
}

test('postgresql comes up, and then nothing is left to do', { timeout: 300_000 }, async () => {
  const { answers, bindings } = await bringUpServers(context);
  assert.match(answers[0]!, /^PostgreSQL 15\.\d+ on 127\.0\.0\.1:\d+$/);
  assert.deepEqual(await observed(), []);
  assert.equal(bindings['postgres.database'], 'millrace');
  assert.equal(bindings['postgres.password'], `file:${join(root, 'secrets/postgres')}`);
});

test('its role owns its database, creates a role that reads, and is no superuser', async () => {
  const sql =
    'CREATE TABLE t (a int); INSERT INTO t VALUES (7); CREATE ROLE reader; GRANT SELECT ON t TO reader;';
  const made = await query(`${sql} SELECT a FROM t;`);
  assert.deepEqual({ ...made, stdout: made.stdout.trim() }, { exitCode: 0, stdout: '7', stderr: '' });
  assert.match(
    (await query("SET ROLE postgres; SELECT pg_read_file('/etc/passwd')")).stderr,
    /permission denied/,
  );
  assert.match((await query('CREATE DATABASE other')).stderr, /permission denied/);
});

test('no secret lies open, and no socket', async () => {
  for (const name of ['postgres', 'postgres-admin', 'postgres-passwords']) {
    assert.equal((await stat(join(root, 'secrets', name))).mode & 0o777, 0o600, name);
  }
  const { pid } = await host.process('postgres');
  const log = await readFile(join(root, 'servers/postgres/postgres.log'), 'utf8');
  for (const name of ['postgres', 'postgres-admin']) {
    const secret = (await readFile(join(root, 'secrets', name), 'utf8')).trim();
    for (const text of [log, await readFile(`/proc/${pid}/cmdline`, 'utf8')])
      assert.ok(!text.includes(secret));
  }
  assert.deepEqual(await host.list(join(root, 'servers/postgres')), ['data', 'postgres.log']);
  const unix = await readFile('/proc/net/unix', 'utf8');
  assert.ok(!unix.includes(context.dataDirectory));
});

test('an edited configuration is found, shown and put back', async () => {
  const file = join(data, 'pg_hba.conf');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('scram-sha-256', 'trust'));
  const [change, ...rest] = await observed();
  assert.deepEqual(rest, []);
  assert.match(change!.before!, /^host +all +all +127\.0\.0\.1\/32 +trust$/);
  await bringUpServers(context);
  assert.equal(await readFile(file, 'utf8'), text);
});

test('a role that was given more is found and put right', async () => {
  await query('ALTER ROLE millrace CREATEDB', 'postgres');
  assert.deepEqual(
    (await observed()).map(({ step }) => step),
    ['role'],
  );
  await bringUpServers(context);
  assert.deepEqual(await observed(), []);
});

test('killed, it starts again with what it was told', { timeout: 300_000 }, async () => {
  const { pid } = await host.process('postgres');
  process.kill(pid!, 'SIGKILL');
  while ((await host.process('postgres')).state === 'running') await delay(10);
  assert.deepEqual(
    (await observed()).map(({ step }) => step),
    ['start', 'role'],
  );
  await bringUpServers(context);
  assert.equal((await query('SELECT a FROM t')).stdout.trim(), '7');
});

test('stopped in time, it says so', async () => {
  const plans = await planServers(context);
  const startMs = performance.now();
  await stopServers(
    host,
    plans.map(({ server }) => server),
  );
  assert.ok(performance.now() - startMs < 15_000);
  assert.equal((await host.process('postgres')).state, 'stopped');
  assert.match(await readFile(join(root, 'servers/postgres/postgres.log'), 'utf8'), /shut down\s*$/);
});
