import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisAddress } from '../../src/adapters/redis/redis-connection.ts';
import { connectRedis } from '../../src/adapters/redis/redis-connection.ts';

/** A Redis of a test, on loopback, with a folder of its own. */
export interface TestRedis {
  /** How the default user reaches it, or the TLS port where it has one. */
  readonly address: RedisAddress;
  /** Kills it; resolves when it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and folder; resolves when it answers, or at once where it is not waited for. */
  start(isAwaited?: boolean): Promise<void>;
  /** Stops the process in its tracks, or lets it go on. */
  pause(signal: 'SIGSTOP' | 'SIGCONT'): void;
  stop(): Promise<void>;
}

/** How a Redis is started. */
export interface TestRedisOptions {
  /** `name value` pairs of its configuration beside the usual ones. */
  readonly config?: Readonly<Record<string, string>>;
  /** Lines of its ACL: `user name …`. */
  readonly users?: readonly string[];
  readonly tls?: boolean;
}

const READY_MS_MAX = 20_000;
const BINARIES = ['redis-server', 'valkey-server'];

/** The server's command, or undefined where the machine has none. */
function findRedis(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return BINARIES.flatMap(name => folders.map(folder => join(folder, name))).find(path => existsSync(path));
}

/** What a test that needs Redis is skipped with: a reason, or false. */
export const withoutRedis: string | false =
  findRedis() === undefined ? 'needs redis-server 7.0 or later on the PATH (Debian: redis-server)' : false;

/** Starts a Redis that syncs each second what it is told; the caller stops it. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const binary = findRedis();
  assert.ok(binary !== undefined, 'tests that start Redis are skipped where there is none');
  const directory = mkdtempSync(join(tmpdir(), 'millrace-redis-'));
  const port = await freePort();
  const log = join(directory, 'redis.log');
  const file = join(directory, 'redis.conf');
  const settings = {
    bind: '127.0.0.1',
    dir: directory,
    save: '""',
    appendonly: 'yes',
    appendfsync: 'everysec',
    ...(options.tls === true ? tlsSettings(directory, port) : { port: String(port) }),
    ...options.config,
  };
  const lines = [
    ...Object.entries(settings).map(([name, value]) => `${name} ${value}`),
    ...(options.users ?? []),
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const address = {
    host: '127.0.0.1',
    port,
    tls: options.tls === true,
    caFile: options.tls === true ? join(directory, 'ca.pem') : '',
    username: '',
    password: options.config?.['requirepass'] ?? '',
  };
  let child: ChildProcess | undefined;
  const kill = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  };
  const start = async (isAwaited = true) => {
    const output = openSync(log, 'a');
    child = spawn(binary, [file], { stdio: ['ignore', output, output] });
    closeSync(output);
    if (isAwaited) await waitUntilReady(child, address, log);
  };
  const stop = async () => {
    process.off('exit', killAtExit);
    await kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  // A test that fails before it can stop the server must not leave it behind.
  const killAtExit = () => child?.kill('SIGKILL');
  process.once('exit', killAtExit);
  await start().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    address,
    kill,
    start,
    pause: signal => {
      child?.kill(signal);
    },
    stop,
  };
}

/** Ready is an answer, not an open port; a refused login is an answer too. */
async function waitUntilReady(child: ChildProcess, address: RedisAddress, log: string): Promise<void> {
  const untilMs = performance.now() + READY_MS_MAX;
  while (true) {
    try {
      const connection = await connectRedis(address);
      await connection.close();
      return;
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === 'ERR_STORE_AUTH' || code === 'ERR_STORE_RIGHTS') return;
      assert.ok(child.exitCode === null, `redis-server ended: ${readFileSync(log, 'utf8').slice(-2000)}`);
      assert.ok(performance.now() < untilMs, `redis-server is not ready: ${String(error)}`);
      await sleep(20);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** An authority of the test's own, and a certificate of it for 127.0.0.1. */
function tlsSettings(directory: string, port: number): Readonly<Record<string, string>> {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(join(directory, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': join(directory, 'server.pem'),
    'tls-key-file': join(directory, 'server.key'),
    'tls-ca-cert-file': join(directory, 'ca.pem'),
    'tls-auth-clients': 'no',
  };
}
