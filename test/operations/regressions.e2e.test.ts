import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMMANDS, GLOBAL_OPTIONS } from '../../src/cli/command-list.ts';
import { PACKAGE_ROOT } from '../../src/config/environment.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { OPERATIONS } from '../../src/operations/list.ts';
import { ALL, CommandLine, endOf } from './command-line.ts';

const lines: CommandLine[] = [];
const aCommandLine = (): CommandLine => {
  const line = new CommandLine();
  lines.push(line);
  return line;
};
after(() => {
  for (const line of lines) line.remove();
});

const FAST = { MILLRACE_OPERATIONS_TRIAL: 'off' };

/** Waits until something is so; fails at a deadline. */
async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadlineMs, what);
    await sleep(20);
  }
}

describe('regressions of the original, by their number', () => {
  it('2: topics that cannot be made fail the operation and say who is in the way', async () => {
    const line = aCommandLine();
    await line.operate(['Provision'], FAST);
    const other = line.start(['up', '--port', '0'], { ...FAST, MILLRACE_DEBUG_FAILPOINT: '' });
    const ended = endOf(other);
    await until(() => existsSync(join(line.data, 'local/serving.json')), 'it serves');
    const { ended: run, summary } = await line.operate(
      ['Deploy/KafkaSetup', '--set', 'log.partitions=2'],
      FAST,
    );
    assert.deepEqual([run.status, summary.ok, summary.error?.code], [1, false, 'ERR_OWNED']);
    assert.match(summary.error?.why ?? '', new RegExp(`pid ${other.pid} `));
    other.kill('SIGTERM');
    assert.equal((await ended).status, 0);
  });

  it('5: an instance that dies while it is tried fails the run; the next one mends it', async () => {
    const line = aCommandLine();
    const child = line.start(['run', ...ALL, '--json']);
    const ended = endOf(child);
    const trial = join(line.data, 'local/operations/trial/local/serving.json');
    await until(() => existsSync(trial), 'a trial instance serves');
    process.kill((JSON.parse(readFileSync(trial, 'utf8')) as { pid: number }).pid, 'SIGKILL');
    const { status, stdout } = await ended;
    assert.equal(status, 1, stdout);
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    assert.equal(summary.ok, false);
    assert.ok(summary.receipts.some((receipt: { outcome: string }) => receipt.outcome === 'failed'));
    const again = await line.operate(ALL);
    assert.deepEqual([again.ended.status, again.summary.ok], [0, true], again.ended.stdout);
    assert.equal(existsSync(join(line.data, 'local/operations/trial')), false);
  });

  it('9: a taken port is named with its process and the flag that changes it', async () => {
    const line = aCommandLine();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { status, stderr } = await line.run(['up', '--port', String(port)], FAST);
    server.close();
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`port ${port} is used by pid ${process.pid} \\(.+\\)`));
    assert.match(stderr, /--port N/);
    assert.equal(existsSync(line.data), false, 'nothing was begun');
  });

  it('10: a missing secret is named with its key, its user and how to set it; nothing is started', async () => {
    const line = aCommandLine();
    for (const words of [
      ['up', '--port', '0'],
      ['run', ...ALL],
    ]) {
      const { status, stderr } = await line.run(
        [...words, '--set', 'ingest.tokens=env:NO_SUCH_SECRET'],
        FAST,
      );
      assert.equal(status, 2);
      assert.match(stderr, /ingest\.tokens, used by the ingest API/);
      assert.match(stderr, /Set the variable NO_SUCH_SECRET/);
      assert.equal(existsSync(line.data), false);
    }
  });

  it('12: a disk without room is refused before anything is changed', async () => {
    const line = aCommandLine();
    const { status, stderr } = await line.run(['run', ...ALL, '--set', `log.freeBytesMin=${2 ** 50}`], FAST);
    assert.equal(status, 1);
    assert.match(stderr, /bytes free, and 1125899906842624 are needed/);
    assert.equal(existsSync(line.data), false);
  });

  it('13: secrets stand in no argument, no readable file, no log, no bundle', async () => {
    const line = aCommandLine();
    const secret = `s3cret-${'x'.repeat(20)}`;
    const env = { ...FAST, THE_SECRET: secret, MILLRACE_INGEST_TOKENS: 'env:THE_SECRET' };
    const server = line.start(['up', '--port', '0'], env);
    const ended = endOf(server);
    await until(() => existsSync(join(line.data, 'local/serving.json')), 'it serves');
    const token = readFileSync(join(line.data, 'local/token'), 'utf8').trim();
    const bundle = join(line.data, '..', 'bundle.json');
    const made = await line.run(['support-bundle', '--out', bundle], env);
    assert.equal(made.status, 0, made.stderr);
    await line.operate(ALL, env);
    const list = await line.run(['secrets', '--json'], env);
    for (const text of [readFileSync(bundle, 'utf8'), list.stdout, argumentsOf(server.pid ?? 0)]) {
      assert.ok(!text.includes(token) && !text.includes(secret));
    }
    server.kill('SIGTERM');
    await ended;
    for (const entry of readdirSync(line.data, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path, 'latin1');
      assert.ok(!text.includes(secret), `${path} holds the secret`);
      if (text.includes(token)) assert.equal(statSync(path).mode & 0o077, 0, `${path} is readable by others`);
    }
  });

  it('14: uninstall --keep-data, then up, has everything again', async () => {
    const line = aCommandLine();
    const counts = async () => {
      const { topics } = await line.json<{ topics: { topic: string; records: number }[] }>(['topics']);
      return topics.map(({ topic, records }) => [topic, records]);
    };
    const serve = async () => {
      const started = await line.run(['up', '--detach', '--port', '0'], FAST);
      assert.equal(started.status, 0, started.stderr);
    };
    await serve();
    await line.run(['send', '--sample', '--count', '40', '--seed', '7']);
    await untilIdle(line);
    const before = await counts();
    assert.match((await line.run(['uninstall'])).stderr, /serves the environment/);
    await line.run(['down']);
    const removed = await line.run(['uninstall', '--keep-data']);
    assert.equal(removed.status, 0, removed.stderr);
    await serve();
    await untilIdle(line);
    assert.deepEqual(await counts(), before);
    await line.run(['down']);
    assert.equal((await line.run(['uninstall'])).status, 0);
    assert.equal(existsSync(join(line.data, 'local')), false);
  });

  it('14: uninstall touches nothing without our mark', async () => {
    const line = aCommandLine();
    mkdirSync(join(line.data, 'local'), { recursive: true });
    writeFileSync(join(line.data, 'local/precious'), 'precious');
    assert.equal((await line.run(['uninstall'])).status, 2);
    assert.equal(readFileSync(join(line.data, 'local/precious'), 'utf8'), 'precious');
  });

  it('18: of two runs at once one works and the other names it', async () => {
    const line = aCommandLine();
    const both = ['first', 'second'].map(name => line.start(['run', ...ALL, '--as', name, '--json']));
    const ends = await Promise.all(both.map(endOf));
    const [worked, refused] = ends[0]!.status === 0 ? [0, 1] : [1, 0];
    assert.equal(ends[worked]!.status, 0, ends[worked]!.stdout);
    assert.equal(ends[refused]!.status, 1);
    const { error } = JSON.parse(ends[refused]!.stdout.trim().split('\n').at(-1) ?? '');
    assert.equal(error.code, 'ERR_OWNED');
    assert.match(
      error.why,
      new RegExp(`is owned by \\S+ on \\S+, pid ${both[worked]!.pid} \\(.*run.*\\), since 20`),
    );
    assert.equal((await line.receipts()).runs.length, 1);
  });

  it('19: warns of a clock that went back', async () => {
    const line = aCommandLine();
    await line.operate(['Build'], FAST);
    const file = join(line.data, 'local/operations/receipts.jsonl');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replaceAll(/"startedAtMs":\d+/g, `"startedAtMs":${Date.now() + 3_600_000}`));
    const { checks } = await line.json<{
      checks: { id: string; ok: boolean; severity: string; remedy: string }[];
    }>(['doctor']);
    const clock = checks.find(({ id }) => id === 'clock');
    assert.deepEqual([clock?.ok, clock?.severity], [false, 'warn']);
    assert.match(clock?.remedy ?? '', /UTC/);
  });

  it('20: errors, documents and help name only flags that exist', () => {
    const flags = new Set(
      [...GLOBAL_OPTIONS, ...COMMANDS.flatMap(spec => spec.options ?? [])].flatMap(
        ([flag]) => flag.match(/--[a-z-]+/g) ?? [],
      ),
    );
    flags.add('--help');
    const guide = readFileSync(join(PACKAGE_ROOT, 'docs/guides/operations.md'), 'utf8');
    const texts = [
      ...Object.values(ERRORS).flatMap(({ message, remedy }) => [message, remedy]),
      ...OPERATIONS.flatMap(({ does, parameters }) => [does, ...parameters.map(({ flag }) => flag ?? '')]),
      ...COMMANDS.flatMap(({ does, examples }) => [
        does,
        ...examples.filter(text => text.startsWith('millrace')),
      ]),
      guide,
    ];
    const named = texts.flatMap(text => text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []);
    assert.ok(named.length > 20);
    assert.deepEqual(
      [...new Set(named)].filter(flag => !flags.has(flag)),
      [],
    );
  });
});

async function untilIdle(line: CommandLine): Promise<void> {
  for (let look = 0; look < 300; look++) {
    if ((await line.json<{ idle: boolean }>(['status'])).idle) return;
  }
  assert.fail('not idle within 300 looks');
}

function argumentsOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}
