import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { composeHost } from '../../src/cli/compose-servers.ts';
import { mountSmallDisk } from '../sinks/setting.ts';
import { CONTRACT, sleeper } from './contract.ts';
import { temporaryFolder } from './temporary-folder.ts';

const DISK_BYTES = 1024 * 1024;

/** Waits until something holds; the test's own time limit ends it otherwise. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}

for (const [name, check] of Object.entries(CONTRACT)) {
  test(`local host: ${name}`, { timeout: 60_000 }, async context => {
    const folder = await temporaryFolder(context);
    const host = composeHost(folder);
    const used = join(folder, 'used');
    await host.makeFolder(used, { mode: 0o700 });
    const kill = async (pid: number) => {
      process.kill(pid, 'SIGKILL');
      await until(async () => (await host.process('sleeper')).state !== 'running');
    };
    await check({ host, folder: used, kill });
  });
}

// Its first thread ends at once, and is a zombie in /proc; the other one ends the process when there is a file.
const TWO_THREADS = `
import ctypes, os, platform, sys, threading, time
def end():
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    os._exit(7)
threading.Thread(target=end).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)
`;
const hasPython = spawnSync('python3', ['-c', 'import ctypes']).status === 0;

test('a server runs until its last thread has ended, and then says how', {
  skip: hasPython ? false : 'needs python3, to end one thread of two',
  timeout: 60_000,
}, async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const end = join(folder, 'end');
  const { pid } = await host.start({ ...sleeper(folder), argv: ['python3', '-c', TWO_THREADS, end] });
  await until(async () => / \(python3\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')));
  assert.equal((await host.process('sleeper')).state, 'running');
  await writeFile(end, '');
  await until(async () => (await host.process('sleeper')).state !== 'running');
  assert.equal((await host.process('sleeper')).detail, 'it ended with exit code 7');
});

test('a server outlives a run that is killed, and the next one adopts or stops it', async context => {
  const folder = await temporaryFolder(context);
  const program = new URL('start-and-die.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const started = JSON.parse(line.toString()) as { pid: number; digest: string };
  child.kill('SIGKILL');
  await once(child, 'exit');

  const host = composeHost(folder);
  const found = await host.process('sleeper');
  assert.equal(found.state, 'running');
  assert.equal(found.pid, started.pid);
  assert.equal(found.digest, started.digest);
  assert.equal(found.detail, 'started by an earlier run');
  await host.stop('sleeper');
  assert.equal((await host.process('sleeper')).state, 'stopped');
  await assert.rejects(stat(`/proc/${started.pid}/exe`), 'it has ended, whether or not anyone collected it');
});

test('a pid that another process has now is not ours', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const { pid } = await host.start(sleeper(folder));
  const file = join(folder, 'processes/sleeper.stat');
  const line = await readFile(file, 'utf8');
  const fields = line.trim().split(' ');
  fields[21] = String(Number(fields[21]) + 1);
  await writeFile(file, fields.join(' '));
  assert.equal((await host.process('sleeper')).state, 'failed');
  await host.stop('sleeper');
  process.kill(pid!, 0);
  process.kill(pid!, 'SIGKILL');
});

test('a pid of another run of the machine is not ours', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const { pid } = await host.start(sleeper(folder));
  const file = join(folder, 'processes/sleeper.json');
  const record = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...record, bootId: 'another' }));
  const { state, detail } = await host.process('sleeper');
  assert.deepEqual({ state, detail }, { state: 'stopped', detail: 'the machine was restarted' });
  await host.stop('sleeper');
  process.kill(pid!, 'SIGKILL');
});

test('a full disk has its name, and leaves no record of a server that did not start', async context => {
  const folder = mountSmallDisk(context, DISK_BYTES);
  if (folder === undefined) return context.skip('needs the right to mount a tmpfs');
  const ballast = join(folder, 'ballast');
  await assert.rejects(writeFile(ballast, Buffer.alloc(2 * DISK_BYTES)), { code: 'ENOSPC' });
  const host = composeHost(folder);
  await assert.rejects(host.start(sleeper(folder)), { code: 'ERR_DISK_FULL' });
  assert.equal((await host.process('sleeper')).state, 'stopped');
  await rm(ballast);
  assert.equal((await host.start(sleeper(folder))).state, 'running');
  await host.stop('sleeper');
});

test('a record of a process that cannot be read is named, with what to do', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const { pid } = await host.start(sleeper(folder));
  const file = join(folder, 'processes/sleeper.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, '');
  const refusal = { code: 'ERR_FILE_UNREADABLE', why: /sleeper\.json/, remedy: /sleeper\.stat/ };
  await assert.rejects(host.process('sleeper'), refusal);
  await assert.rejects(host.trimLogs(), refusal);
  await writeFile(file, text);
  assert.equal((await host.process('sleeper')).pid, pid);
  await host.stop('sleeper');
});

test('a lock whose folder is not there is refused by name', async context => {
  const host = composeHost(await temporaryFolder(context));
  const locked = host.locked('/no/such/folder/lock', async () => undefined);
  await assert.rejects(locked, { code: 'ERR_HOST_COMMAND', why: /no\/such\/folder/ });
});

test('a server that does not end on its signal is killed when its time is up', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const deaf = ['/bin/sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 1; done'];
  const { pid } = await host.start({ ...sleeper(folder), argv: deaf, stopMsMax: 200 });
  await until(async () => (await host.lastLines('sleeper', 1))[0] === 'deaf');
  await host.stop('sleeper');
  assert.throws(() => process.kill(pid!, 0));
});

test('a log past its cap moves aside when the server starts, and its last lines can be read', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  const spec = { ...sleeper(folder), argv: ['/bin/sh', '-c', 'echo one; echo two; exec sleep 600'] };
  await appendFile(spec.logFile, Buffer.alloc(17 * 1024 * 1024, 'x'));
  await host.start(spec);
  await until(async () => (await host.lastLines(spec.name, 10)).length === 2);
  assert.deepEqual(await host.lastLines(spec.name, 1), ['two']);
  assert.equal((await stat(`${spec.logFile}.1`)).size, 16 * 1024 * 1024, 'as much as the cap, its end');
  await host.stop(spec.name);
});

test('the log of a server that an earlier run left is cut, and the server goes on writing it', async context => {
  const folder = await temporaryFolder(context);
  const argv = ['/bin/sh', '-c', `while :; do ${'echo line; '.repeat(100)} sleep 0.1; done`];
  const spec = { ...sleeper(folder), argv };
  await composeHost(folder).start(spec);
  await appendFile(spec.logFile, `${'x'.repeat(18 * 1024 * 1024)}\nlast of the old\n`);
  const host = composeHost(folder);
  await host.trimLogs();
  assert.ok((await stat(spec.logFile)).size < 1024 * 1024, 'it is cut');
  const old = await readFile(`${spec.logFile}.1`, 'utf8');
  assert.equal(old.length, 16 * 1024 * 1024);
  assert.ok(old.includes('last of the old'));
  const cut = (await stat(spec.logFile)).size;
  await until(async () => (await stat(spec.logFile)).size > cut);
  assert.deepEqual(await host.lastLines(spec.name, 1), ['line']);
  await host.stop(spec.name);
});

test('a command past its time is killed with what it started', async context => {
  const host = composeHost(await temporaryFolder(context));
  const argv = ['/bin/sh', '-c', 'echo $$; sleep 600 & wait'];
  const running = host.exec(argv, { timeoutMs: 300 });
  await assert.rejects(running, { code: 'ERR_HOST_COMMAND', why: /ran longer than 300 ms/ });
  const stopping = new AbortController();
  const aborted = host.exec(['sleep', '600'], { timeoutMs: 60_000, signal: stopping.signal });
  stopping.abort();
  await assert.rejects(aborted, { code: 'ERR_RUN_CANCELLED', why: /sleep was cancelled/ });
});

test('of long output the end is kept', async context => {
  const host = composeHost(await temporaryFolder(context));
  const options = { timeoutMs: 20_000, outputBytesMax: 5, input: `${'x'.repeat(100_000)}tail` };
  assert.equal((await host.exec(['cat'], options)).stdout, 'xtail');
});

test('a taken port is not free, and a port answers what it is asked', async context => {
  const host = composeHost(await temporaryFolder(context));
  const server = createServer(socket => socket.on('data', data => socket.write(data)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  assert.equal(await host.isPortFree(port), false);
  const options = { timeoutMs: 5_000, isWhole: (reply: Uint8Array) => reply.length === 4 };
  assert.equal(Buffer.from(await host.ask(port, Buffer.from('ping'), options)).toString(), 'ping');
  await assert.rejects(host.ask(port, Buffer.from('a'), { ...options, timeoutMs: 100 }), /host failed/);
  server.close();
  await once(server, 'close');
  assert.equal(await host.isPortFree(port), true);
  await assert.rejects(host.ask(port, Buffer.from('ping'), options), { code: 'ERR_HOST_COMMAND' });
});

test('a server gets no variable of ours, and a user of its own where it names one', async context => {
  const folder = await temporaryFolder(context);
  const host = composeHost(folder);
  if (!(await host.facts()).isRoot) return context.skip('needs root');
  const spec = { ...sleeper(folder), user: 'nobody', argv: ['/bin/sh', '-c', 'id -un; env; exec sleep 600'] };
  await host.start(spec);
  await until(async () => (await host.lastLines(spec.name, 100)).some(line => line.startsWith('PATH=')));
  const lines = await host.lastLines(spec.name, 100);
  assert.equal(lines[0], 'nobody');
  assert.deepEqual(
    lines.filter(line => /^(MILLRACE_|NODE_)/.test(line)),
    [],
  );
  await host.stop(spec.name);
});
