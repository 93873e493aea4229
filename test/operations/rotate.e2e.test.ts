import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startServers } from '../servers/servers.ts';
import { CommandLine } from './command-line.ts';

// Brought up once for what it says where this machine lacks something.
const tried = await startServers(['redis', 'postgres']);
const skip = 'skip' in tried ? tried.skip : false;
/** Between drawing the password and forgetting the old one, and around the receipt. */
const FAILPOINTS = [
  'secrets.afterDraw',
  'operations.beforeStep',
  'postgres.afterAdminChange',
  'postgres.afterAdminChange',
  'postgres.afterAdminRename',
  'operations.afterStep',
  'operations.beforeReceipt',
];
const SERVICES = ['--env', 'services'];

describe('a generated password, rotated', { skip }, () => {
  const line = new CommandLine();
  // PostgreSQL runs as another user, who must get to its data.
  chmodSync(join(line.data, '..'), 0o711);
  after(async () => {
    await line.run(['down', ...SERVICES]);
    line.remove();
  });

  it('is another one, its server takes it, and nothing is left to do', async () => {
    const started = await line.run(['run', 'Provision/Redis', 'Provision/Postgres', ...SERVICES]);
    assert.equal(started.status, 0, started.stdout + started.stderr);
    for (const name of ['redis', 'postgres', 'postgres-admin']) {
      const file = join(line.data, 'services/secrets', name);
      const before = readFileSync(file, 'utf8');
      const rotated = await line.run(['secrets', 'rotate', name, ...SERVICES]);
      assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr);
      const now = readFileSync(file, 'utf8');
      assert.notEqual(now, before, name);
      // It was verified by logging in as the pipeline does, with what the file holds.
      assert.match(rotated.stdout, /changes? applied and verified/);
      const said = rotated.stdout + rotated.stderr;
      for (const secret of [before, now]) assert.ok(!said.includes(secret.trim()), `${name} is not told`);
    }
    const plan = await line.plan('Provision/Redis', 'Provision/Postgres', ...SERVICES);
    assert.equal(plan.changes, 0);
  });

  it('of the administrator, cut off anywhere: the old one or the new one works, and a run ends it', async () => {
    const file = join(line.data, 'services/secrets/postgres-admin');
    const run = () => line.run(['run', 'Provision/Postgres', ...SERVICES]);
    for (const [index, failpoint] of FAILPOINTS.entries()) {
      const before = readFileSync(file, 'utf8');
      const env = { MILLRACE_DEBUG_FAILPOINT: failpoint };
      const { signal, stdout } = await line.run(['secrets', 'rotate', 'postgres-admin', ...SERVICES], env);
      assert.equal(signal, 'SIGKILL', `${failpoint}: ${stdout}`);
      // A start asks PostgreSQL as its administrator; a running one is asked by the step itself.
      if (index % 2 === 0) await line.run(['down', ...SERVICES]);
      const ended = await run();
      assert.equal(ended.status, 0, `${failpoint}: ${ended.stdout}${ended.stderr}`);
      assert.notEqual(readFileSync(file, 'utf8'), before, failpoint);
      assert.equal(existsSync(`${file}.next`), false, failpoint);
      assert.equal((await line.plan('Provision/Postgres', ...SERVICES)).changes, 0, failpoint);
    }
    await line.run(['down', ...SERVICES]);
    const last = await run();
    assert.equal(last.status, 0, `what the file holds logs in: ${last.stdout}${last.stderr}`);
    const left = readdirSync(join(line.data, 'services/secrets')).sort();
    assert.deepEqual(left, ['postgres', 'postgres-admin', 'postgres-passwords', 'redis']);
  });

  it('names what can be rotated where the name is none', async () => {
    const refused = await line.run(['secrets', 'rotate', 'postgers', ...SERVICES]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /Rotate: operator-token, redis, postgres, postgres-admin, kafka\./);
  });
});
