import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { ChecksDocument } from '../../src/core/operation-documents.ts';
import { CommandLine } from './command-line.ts';

describe('doctor', () => {
  const line = new CommandLine();
  after(() => line.remove());

  it('warns of the first certificate of a file that ends, wherever it stands in it', async () => {
    const cwd = dirname(line.data);
    const made = ['365', '10'].map(days => {
      const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-subj', `/CN=${days}`];
      execFileSync('openssl', ['req', '-x509', ...key, '-days', days, '-out', 'one.pem'], {
        cwd,
        stdio: 'pipe',
      });
      return readFileSync(join(cwd, 'one.pem'), 'utf8');
    });
    const found = [];
    for (const text of [made[0]!, made.join('')]) {
      writeFileSync(join(cwd, 'ca.pem'), text);
      const flags = ['--set', `redis.caFile=${join(cwd, 'ca.pem')}`];
      const { checks } = await line.json<ChecksDocument>(['doctor', ...flags]);
      found.push(checks.find(({ id }) => id === 'certificates')?.ok);
    }
    assert.deepEqual(found, [true, false]);
  });
});
