import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { takeOwnership } from '../../src/adapters/log/owner-lock.ts';
import { temporaryDirectory } from './open-log.ts';

test('a directory has one owner, which the refusal names', async context => {
  const directory = temporaryDirectory(context);
  const owner = await takeOwnership(directory);
  const document = JSON.parse(readFileSync(join(directory, 'owner.json'), 'utf8'));
  assert.equal(document.pid, process.pid);
  assert.ok(Math.abs(document.sinceMs - Date.now()) < 60_000);
  await assert.rejects(takeOwnership(directory), {
    code: 'ERR_OWNED',
    why: new RegExp(`pid ${process.pid}\\b`),
  });
  owner.release();
  owner.release();
  assert.equal(existsSync(join(directory, 'owner.json')), false);
  (await takeOwnership(directory)).release();
});

test('another process is refused, and succeeds an owner that was killed at once', async context => {
  const directory = temporaryDirectory(context);
  const lock = new URL('../../src/adapters/log/owner-lock.ts', import.meta.url);
  const script = `const { takeOwnership } = await import('${lock}');
    await takeOwnership('${directory}'); process.stdout.write('owned'); setInterval(() => {}, 1000);`;
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    await assert.rejects(takeOwnership(directory), {
      code: 'ERR_OWNED',
      why: new RegExp(`pid ${child.pid}\\b`),
    });
    child.kill('SIGKILL');
    await exited;
  }
  (await takeOwnership(directory)).release();
});
