import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startServers } from '../servers/servers.ts';
import { CommandLine } from './command-line.ts';

// Brought up once for what it says where this machine lacks something.
const tried = await startServers(['redis', 'postgres']);
const skip = 'skip' in tried ? tried.skip : false;
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
    for (const name of ['redis', 'postgres']) {
      const file = join(line.data, 'services/secrets', name);
      const before = readFileSync(file, 'utf8');
      const rotated = await line.run(['secrets', 'rotate', name, ...SERVICES]);
      assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr);
      const now = readFileSync(file, 'utf8');
      assert.notEqual(now, before, name);
      // It was verified by logging in as the pipeline does, with what the file holds.
      assert.match(rotated.stdout, /changes applied and verified/);
      const said = rotated.stdout + rotated.stderr;
      for (const secret of [before, now]) assert.ok(!said.includes(secret.trim()), `${name} is not told`);
    }
    const plan = await line.plan('Provision/Redis', 'Provision/Postgres', ...SERVICES);
    assert.equal(plan.changes, 0);
  });

  it('names what can be rotated where the name is none', async () => {
    const refused = await line.run(['secrets', 'rotate', 'postgers', ...SERVICES]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /Rotate: operator-token, redis, postgres/);
  });
});
