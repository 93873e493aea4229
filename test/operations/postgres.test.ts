import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryHost } from '../../src/adapters/host/memory-host.ts';
import type { Config } from '../../src/config/options.ts';
import { planServers } from '../servers/bring-up.ts';
import { wanting } from '../servers/servers.ts';
import { applyAll, DONE, due, memoryServers } from './memory-servers.ts';

const DATA = '/srv/data/test/servers/postgres/data';
const SECRET = '/srv/data/test/secrets/postgres';
const PROGRAM = '/usr/lib/postgresql/15/bin/postgres';
const PORT = 21_008;

/** PostgreSQL is installed; `initdb` makes a folder, `psql` answers for a role that the test can change. */
async function postgresHost(user: string, overrides: Partial<Config> = {}) {
  const setting = memoryServers({ ...wanting('postgres'), ...overrides }, new MemoryHost(user));
  const { host } = setting;
  await host.makeFolder('/srv', { mode: 0o755 });
  await host.makeFolder('/usr/lib/postgresql/15/bin', { mode: 0o755 });
  await host.put(PROGRAM, 'program', { mode: 0o755 });
  host.changes.length = 0;
  const seen = { sql: '', runsAs: new Set<string | undefined>(), rights: 'f|t|f|t', hasRole: false };
  host.commands.set('id', argv => (argv.at(-1) === 'postgres' ? DONE : { ...DONE, exitCode: 1 }));
  host.commands.set('initdb', (argv, { user: runsAs }) => {
    seen.runsAs.add(runsAs);
    void host.put(join(argv.at(-1)!, 'PG_VERSION'), '15\n', { mode: 0o600 });
    return DONE;
  });
  host.commands.set('psql', (argv, { input = '' }) => {
    if (!host.answers.has(PORT)) return { ...DONE, exitCode: 2, stderr: 'connection refused' };
    if (argv[argv.indexOf('-U') + 1] === 'postgres') {
      if (!String(input).includes('CREATE ROLE')) return DONE;
      seen.sql = String(input);
      seen.hasRole = true;
      seen.rights = 'f|t|f|t';
      return DONE;
    }
    return seen.hasRole
      ? { ...DONE, stdout: `15.20 (Debian 15.20-0)|${seen.rights}\n` }
      : { ...DONE, exitCode: 2, stderr: 'role does not exist' };
  });
  const [start, stop] = [host.start.bind(host), host.stop.bind(host)];
  host.start = async spec => {
    seen.runsAs.add(spec.user);
    host.answers.set(PORT, () => Buffer.alloc(0));
    return await start(spec);
  };
  host.stop = async name => {
    host.answers.delete(PORT);
    await stop(name);
  };
  return { ...setting, seen };
}

const STEPS = [
  ...['folder', 'admin-secret', 'secret', 'passwords', 'cluster'],
  ...['config', 'access', 'start', 'role'],
];

test('a plan changes nothing; applied, it is empty', async () => {
  const { host, context, seen } = await postgresHost('operator');
  const steps = await due(context);
  assert.deepEqual(host.changes, []);
  assert.deepEqual(
    steps,
    STEPS.map(step => `postgres ${step}`),
  );
  assert.deepEqual(await applyAll(context), steps);
  assert.deepEqual(await due(context), []);
  assert.deepEqual([...seen.runsAs], ['operator']);
});

test('as root it runs as a user of its own, for whom the folders above are opened', async () => {
  const { host, context, seen } = await postgresHost('root');
  assert.ok((await due(context)).includes('postgres reach'));
  await applyAll(context);
  assert.deepEqual([...seen.runsAs], ['postgres']);
  for (const path of ['/srv/data', '/srv/data/test', '/srv/data/test/servers']) {
    assert.equal((await host.stat(path))?.mode, 0o711, path);
  }
  for (const file of ['postgresql.conf', 'pg_hba.conf']) {
    const { mode, owner } = (await host.stat(join(DATA, file)))!;
    assert.deepEqual({ mode, owner }, { mode: 0o600, owner: 'postgres' });
  }
  assert.equal((await host.stat(SECRET))?.owner, 'root');
  assert.deepEqual(await due(context), []);
  await host.makeFolder('/srv/data/test', { mode: 0o700 });
  assert.deepEqual(await due(context), ['postgres reach']);
});

test('as root, a folder that is closed to that user, or no such user, is said before anything is changed', async () => {
  const closed = await postgresHost('root');
  await closed.host.makeFolder('/srv', { mode: 0o700 });
  closed.host.changes.length = 0;
  await assert.rejects(due(closed.context), { code: 'ERR_HOST_COMMAND', remedy: /chmod o\+x \/srv,/ });
  assert.deepEqual(closed.host.changes, []);
  const { host, context } = await postgresHost('root');
  host.commands.set('id', () => ({ ...DONE, exitCode: 1 }));
  await assert.rejects(due(context), { code: 'ERR_TOOL_MISSING', remedy: /useradd --system/ });
  assert.deepEqual(host.changes, []);
});

test('the server is given what it keeps of a password, never the password', async () => {
  const { host, context, seen } = await postgresHost('operator');
  await applyAll(context);
  const secret = Buffer.from((await host.read(SECRET))!)
    .toString()
    .trim();
  assert.ok(!seen.sql.includes(secret));
  assert.match(seen.sql, /PASSWORD 'SCRAM-SHA-256\$4096:[^']+\$[^']+:[^']+'/);
  assert.equal(await host.stat('/srv/data/test/servers/postgres/admin-password'), undefined);
  const plans = await planServers(context);
  assert.ok(!JSON.stringify(plans.map(({ server }) => server.bindings)).includes(secret));
});

test('a role with other rights is found and put right', async () => {
  const { context, seen } = await postgresHost('operator');
  await applyAll(context);
  seen.rights = 't|t|f|t';
  const [plan] = await planServers(context);
  assert.deepEqual(
    plan!.observed.map(({ step }) => step),
    ['role'],
  );
  assert.match(plan!.observed[0]!.before!, /superuser/);
  await applyAll(context);
  assert.deepEqual(await due(context), []);
});

test('databases of another version are not touched, and names that cannot be are refused', async () => {
  const { host, context } = await postgresHost('operator');
  await applyAll(context);
  await host.put(join(DATA, 'PG_VERSION'), '16\n', { mode: 0o600 });
  await assert.rejects(due(context), { code: 'ERR_DATA_FORMAT', why: /PostgreSQL 16, not 15/ });
  for (const name of ['postgres', 'a"; DROP', 'pg_x', '']) {
    const named = await postgresHost('operator', { 'postgres.username': name });
    await assert.rejects(due(named.context), { code: 'ERR_CONFIG_INVALID', why: /postgres\.username/ });
  }
});
