import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
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

test('a lock that cannot be opened is a path that is refused, not a bug', async context => {
  const directory = temporaryDirectory(context);
  mkdirSync(join(directory, 'run.lock'));
  await assert.rejects(takeOwnership(directory, 'run'), { code: 'ERR_PATH_REFUSED', why: /run\.lock/ });
});

const LOCK = new URL('../../src/adapters/log/owner-lock.ts', import.meta.url);

/** A process that tries to own a directory: says `owned`, or the code of the refusal, and stays where it owns it. */
function startOwner(context: TestContext, directory: string): ChildProcessByStdio<null, Readable, null> {
  const script = `const { takeOwnership } = await import('${LOCK}');
    try {
      await takeOwnership('${directory}');
      process.stdout.write('owned');
      setInterval(() => {}, 1000);
    } catch (error) { process.stdout.write(error.code); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  return child;
}

test('an owner that asks once more stays the owner for other processes', async context => {
  const directory = temporaryDirectory(context);
  const owner = await takeOwnership(directory);
  await assert.rejects(takeOwnership(directory), { code: 'ERR_OWNED' });
  const other = startOwner(context, directory);
  assert.equal(String((await once(other.stdout, 'data'))[0]), 'ERR_OWNED');
  owner.release();
});

test('of processes that ask at once, one owns the directory', async context => {
  for (let round = 0; round < 5; round++) {
    const directory = temporaryDirectory(context);
    const children = Array.from({ length: 4 }, () => startOwner(context, directory));
    const said = await Promise.all(
      children.map(async child => String((await once(child.stdout, 'data'))[0])),
    );
    assert.deepEqual(said.sort(), ['ERR_OWNED', 'ERR_OWNED', 'ERR_OWNED', 'owned']);
  }
});

test('another process is refused, and succeeds an owner that was killed at once', async context => {
  const directory = temporaryDirectory(context);
  for (let round = 0; round < 3; round++) {
    const child = startOwner(context, directory);
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
