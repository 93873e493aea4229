import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ALL, CommandLine, endOf } from './command-line.ts';

const START_MS_MAX = 400;
const SEQUENCE_MS_MAX = 15_000;
const NOTHING_MS_MAX = 3_000;
const COLD_MS_MAX = 15_000;
const WAIT_MS_MAX = 60_000;

/** What it takes of an operator's time; what it does is asserted where other tests run at the same time. */
describe('operations, timed', () => {
  let line: CommandLine;
  beforeEach(() => {
    line = new CommandLine();
  });
  afterEach(() => line.remove());

  it('a command starts within 400 ms, the quickest of five', async () => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const startMs = performance.now();
      assert.equal((await line.run(['version'])).status, 0);
      times.push(performance.now() - startMs);
    }
    assert.ok(Math.min(...times) < START_MS_MAX, `${times.map(Math.round)} ms`);
  });

  it('the whole sequence takes 15 s at most, and 3 s where nothing is to do', async () => {
    for (const msMax of [SEQUENCE_MS_MAX, NOTHING_MS_MAX]) {
      const startMs = performance.now();
      const { ended } = await line.operate(ALL);
      const tookMs = performance.now() - startMs;
      assert.equal(ended.status, 0, ended.stdout + ended.stderr);
      assert.ok(tookMs < msMax, `${Math.round(tookMs)} ms`);
    }
  });

  it('17: comes up cold without a network in 15 s, idle below 512 MB', { skip: noNamespaces() }, async () => {
    // Loopback alone, and it has to be switched on in a new namespace.
    const inside = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];
    const startMs = performance.now();
    const server = line.start(['up', '--port', '0'], {}, inside);
    const ended = endOf(server);
    const serving = join(line.data, 'local/serving.json');
    while (!existsSync(serving)) {
      assert.ok(performance.now() - startMs < WAIT_MS_MAX, 'it serves');
      await sleep(20);
    }
    const tookMs = performance.now() - startMs;
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    const rssKb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    server.kill('SIGTERM');
    assert.equal((await ended).status, 0);
    assert.ok(tookMs < COLD_MS_MAX, `${Math.round(tookMs)} ms`);
    assert.ok(rssKb < 512 * 1024, `${rssKb} KB`);
  });
});

function noNamespaces(): string | false {
  const { status } = spawnSync('unshare', ['-rn', 'sh', '-c', 'ip link set lo up']);
  return status === 0 ? false : 'needs unshare and ip, and a kernel that allows network namespaces';
}
