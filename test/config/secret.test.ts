import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { resolveSecret } from '../../src/config/secret.ts';

it('resolves references to variables and files, without the line end', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-secret-'));
  const path = join(directory, 'token');
  writeFileSync(path, 'from-file\n');
  assert.equal(resolveSecret(`file:${path}`), 'from-file');
  assert.equal(resolveSecret('env:TOKEN', { TOKEN: 'from-env' }), 'from-env');
  rmSync(directory, { recursive: true });
  assert.throws(() => resolveSecret(`file:${path}`), { code: 'ERR_CONFIG_INVALID' });
});

it('never repeats a secret that stands where a reference should', () => {
  assert.throws(
    () => resolveSecret('hunter2'),
    (error: Error) => !JSON.stringify({ ...error, message: error.message }).includes('hunter2'),
  );
  assert.throws(() => resolveSecret('env:TOKEN', { TOKEN: ' ' }), { code: 'ERR_CONFIG_INVALID' });
});
