import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Millrace } from '../e2e/millrace.ts';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  post,
  postUntilAcknowledged,
  until,
  validEvent,
} from './pipeline.ts';

/**
 * Fails syncs with EIO while a file exists: each call eats one byte of it. As the kernel does, it forgets what it
 * could not write: the next sync of the same pages would succeed. Node syncs through libuv's threads, which call
 * the C library, so a preloaded library is asked first.
 */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int fails(void) {
  const char *path = getenv("SYNC_FAILURES");
  struct stat info;
  if (path == NULL || stat(path, &info) != 0 || info.st_size == 0) return 0;
  if (truncate(path, info.st_size - 1) != 0) return 0;
  errno = EIO;
  return 1;
}
int fdatasync(int fd) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return fails() ? -1 : next(fd);
}
int fsync(int fd) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return fails() ? -1 : next(fd);
}
`;

/** Compiles the shim; undefined where there is no C compiler. */
function compileShim(test: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-shim-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'shim.c'), SHIM);
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', 'shim.so', 'shim.c', '-ldl'], {
      cwd: folder,
      stdio: 'ignore',
    });
  } catch {
    return undefined;
  }
  return folder;
}

test('R07 a sync that fails is never acknowledged, and the segment is left', async context => {
  const folder = process.platform === 'linux' ? compileShim(context) : undefined;
  if (folder === undefined) {
    context.skip('needs Linux and a C compiler');
    return;
  }
  const failures = join(folder, 'failures');
  const millrace = await Millrace.create();
  context.after(() => millrace.remove());
  process.env['LD_PRELOAD'] = join(folder, 'shim.so');
  process.env['SYNC_FAILURES'] = failures;
  try {
    await millrace.up();
  } finally {
    delete process.env['LD_PRELOAD'];
    delete process.env['SYNC_FAILURES'];
  }
  const acknowledged: string[] = [];
  const send = async (mid: string) => {
    const reply = await post(millrace, batchOf(mid, [validEvent(mid)]));
    if (reply.status === 200) acknowledged.push(mid);
    return reply;
  };
  assert.equal((await send('r07-before')).status, 200);
  await millrace.idle();

  const codes: string[] = [];
  for (let round = 0; round < 4; round++) {
    writeFileSync(failures, 'x'.repeat(1 + round));
    for (let i = 0; i < 4; i++) codes.push((await send(`r07-${round}-${i}`)).code);
    await until('the failures are used up', () => statSync(failures).size === 0);
  }
  assert.ok(codes.includes('ERR_LOG_WRITE'), `a client saw it: ${codes.join(' ')}`);
  await millrace.idle();
  // Objects are synced too: a flush says what failed, and the archive goes on by itself.
  writeFileSync(failures, 'xxx');
  const flushed = await millrace.run(['archive', 'flush']);
  assert.equal(flushed.code, 1, flushed.stdout);
  await until('the failures are used up', () => statSync(failures).size === 0);
  await postUntilAcknowledged(millrace, batchOf('r07-after', [validEvent('r07-after')]));
  acknowledged.push('r07-after');
  assertConserved(await millrace.idle());
  await assertKept(millrace, acknowledged);

  // What a process read from its own memory may not be on the disk: look again with another one.
  await millrace.kill();
  await millrace.up();
  const status = await millrace.idle();
  assertConserved(status);
  assert.deepEqual(status.quarantined, []);
  await assertKept(millrace, acknowledged);
  await archiveAll(millrace);
});

async function assertKept(millrace: Millrace, acknowledged: readonly string[]): Promise<void> {
  const good = await midsOf(millrace, 'druid.events.telemetry');
  assert.deepEqual(good, acknowledged, 'what was acknowledged, once, and nothing that was refused');
}
