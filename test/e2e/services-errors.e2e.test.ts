import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, readlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { OptionKey } from '../../src/config/options.ts';
import type { ErrorDocument } from '../../src/core/errors.ts';
import type { OperationsDocument } from '../../src/core/operation-documents.ts';
import { CommandLine } from '../operations/command-line.ts';
import { startServers, type TestServers } from '../servers/servers.ts';

const TEST_MS_MAX = 900_000;

/** One set of servers for the file: what every environment below takes as servers of others. */
const tried = await startServers(['redis', 'postgres', 'kafka']);
const skip = 'skip' in tried ? tried.skip : false;
const servers = tried as TestServers;

type Sets = Partial<Record<OptionKey, string | number>>;

/** The settings that lead an environment to the servers of the file. */
function reaching(): Sets {
  const { config } = servers;
  const keys = (['kafka', 'redis', 'postgres'] as const).map(name => [`${name}.target`, 'external']);
  const addresses = Object.keys(servers.bindings).map(key => [key, String(config[key as OptionKey])]);
  return Object.fromEntries([...keys, ...addresses]);
}

function flags(sets: Sets): readonly string[] {
  return [
    '--env',
    'services',
    ...Object.entries(sets).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
}

/**
 * Runs `up` and `run` on an empty folder with one thing wrong: both must name it with a remedy and leave nothing
 * behind, not even the folder.
 */
async function refused(sets: Sets, code: string, exit = 1): Promise<ErrorDocument> {
  const line = new CommandLine();
  try {
    const what = flags({ ...reaching(), ...sets });
    const runs = await line.run(['run', 'Provision', 'Deploy', '--json', ...what]);
    const serves = await line.run(['up', '--json', '--port', '0', ...what]);
    for (const { status, stdout, stderr } of [runs, serves]) {
      const { error } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { error: ErrorDocument };
      assert.deepEqual([status, error.code], [exit, code], stdout + stderr);
      assert.ok(error.why !== '' && error.remedy !== '', stdout);
      assert.doesNotMatch(stdout + stderr, /\n {4}at /, 'no stack for an operator');
    }
    // The lock of a run lies there; nothing else is begun.
    for (const left of ['services/serving.json', 'services/operations/records', 'format.json', 'releases']) {
      assert.equal(existsSync(join(line.data, left)), false, left);
    }
    return JSON.parse(serves.stdout.trim().split('\n').at(-1)!).error;
  } finally {
    line.remove();
  }
}

/** A file with a secret, in the folder of the servers. */
async function secretFile(name: string, text: string): Promise<string> {
  const path = join(servers.context.dataDirectory, name);
  await writeFile(path, text, { mode: 0o600 });
  return `file:${path}`;
}

/** SQL as the administrator of the file's PostgreSQL. */
async function administer(...statements: readonly string[]): Promise<void> {
  const { config, context } = servers;
  const password = (await readFile(join(context.root, 'secrets/postgres-admin'), 'utf8')).trim();
  const address = { host: config['postgres.host'], port: config['postgres.port'] };
  const client = new pg.Client({ ...address, user: 'postgres', password, database: 'postgres' });
  await client.connect();
  for (const sql of statements) await client.query(sql);
  await client.end();
}

describe('what is wrong with servers, through up and run', { skip, timeout: TEST_MS_MAX }, () => {
  it('is a server that does not answer, with its address', async () => {
    for (const sets of [{ 'kafka.brokers': '127.0.0.1:1' }, { 'redis.port': 1 }, { 'postgres.port': 1 }]) {
      assert.match((await refused(sets, 'ERR_STORE_UNAVAILABLE')).why, /127\.0\.0\.1:1\b/);
    }
  });

  it('is a password that is wrong, and a secret that is not there', async () => {
    const wrong = await secretFile('wrong', 'not-the-password');
    await refused({ 'redis.password': wrong }, 'ERR_STORE_AUTH');
    await refused({ 'postgres.password': wrong }, 'ERR_STORE_AUTH');
    await refused({ 'kafka.password': wrong }, 'ERR_STORE_AUTH');
    // The configuration's fault, not the server's: a misuse.
    const missing = await refused({ 'redis.password': 'file:/no/such/secret' }, 'ERR_CONFIG_INVALID', 2);
    assert.match(missing.why, /redis\.password/);
  });

  it('is a right that the user lacks', async () => {
    const password = await secretFile('stranger', 'a-stranger');
    await administer("CREATE ROLE stranger LOGIN CREATEROLE PASSWORD 'a-stranger'");
    const stranger = { 'postgres.username': 'stranger', 'postgres.password': password };
    assert.match((await refused(stranger, 'ERR_STORE_RIGHTS')).remedy, /GRANT/);
  });

  it('is a PostgreSQL that takes no writes', async () => {
    const readOnly = (state: string) =>
      administer(`ALTER DATABASE millrace SET default_transaction_read_only = ${state}`);
    await readOnly('on');
    await refused({}, 'ERR_STORE_READ_ONLY');
    await readOnly('off');
  });

  it('is too few brokers for the copies', async () => {
    assert.match((await refused({ 'kafka.replication': 3 }, 'ERR_REPLICAS_TOO_FEW')).why, /3/);
  });

  it('is a client of Kafka that is not installed', async () => {
    const error = await refused({ 'kafka.clientFolder': '/no/such/client' }, 'ERR_CLIENT_MISSING');
    assert.match(error.remedy, /kafka\.clientFolder/);
  });

  it('is a port of a server that another program has, and a disk without room', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    // Redis is the eighth of the block.
    const block = { 'redis.target': 'host', 'redis.password': '', 'host.portBase': port - 7 };
    assert.match((await refused(block, 'ERR_PORT_TAKEN')).why, new RegExp(`${port}`));
    squatter.close();
    await refused({ 'log.freeBytesMin': 1e15 }, 'ERR_DISK_FULL');
  });

  it('is told of one operation by the list, which tells of the others too', async () => {
    const line = new CommandLine();
    const sets = flags({ ...reaching(), 'redis.port': 1 });
    const { operations } = await line.json<OperationsDocument>(['operations', 'list', ...sets]);
    assert.equal(operations.length, 24);
    assert.deepEqual(
      operations.filter(({ state }) => state === 'failed').map(({ path }) => path),
      ['Provision/services/DataPipeline/Redis'],
    );
    assert.equal(existsSync(line.data), false);
    line.remove();
  });
});

describe('a Redis that is full', { skip, timeout: TEST_MS_MAX }, () => {
  let redis: ChildProcess;
  let port = 0;
  before(async () => {
    const { pid } = await servers.context.host.process('redis');
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    ({ port } = free.address() as AddressInfo);
    free.close();
    await once(free, 'close');
    const words = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--maxmemory', '1'];
    redis = spawn(await readlink(`/proc/${pid}/exe`), [...words, '--maxmemory-policy', 'noeviction'], {
      // The same file as the one that checks dumps: it goes by its name.
      argv0: 'redis-server',
      cwd: servers.context.dataDirectory,
      stdio: 'ignore',
    });
    while (await servers.context.host.isPortFree(port)) {
      assert.equal(redis.exitCode, null, 'redis-server ended');
      await delay(20);
    }
  });
  after(async () => {
    if (redis.kill('SIGKILL')) await once(redis, 'exit');
  });

  it('is named before anything relies on it', async () => {
    await refused({ 'redis.port': port, 'redis.username': '', 'redis.password': '' }, 'ERR_STORE_FULL');
  });
});

describe('servers that are right', { skip, timeout: TEST_MS_MAX }, () => {
  it('are set up and used without a change that is not ours; the second time nothing is to do', async () => {
    const line = new CommandLine();
    const sets = flags({ ...reaching(), 'operations.trial': 'off' });
    const first = await line.operate(['Provision', 'Deploy', ...sets]);
    assert.equal(first.ended.status, 0, first.ended.stdout.slice(-2000));
    const { operations } = await line.json<OperationsDocument>(['operations', 'list', ...sets]);
    const external = operations.filter(({ target }) => target === 'external');
    assert.deepEqual(external.map(({ path, state }) => `${path.split('/').at(-1)} ${state}`).sort(), [
      'CassandraDbUpdate applied',
      'Kafka applied',
      'KafkaSetup applied',
      'Postgres applied',
      'Redis applied',
    ]);
    assert.equal((await line.operate(['Provision', 'Deploy', ...sets])).summary.changes, 0);
    const undone = await line.run(['undo', 'Provision/Redis', '--json', ...sets]);
    assert.equal(undone.status, 0, undone.stdout);
    assert.equal((await servers.context.host.process('redis')).state, 'running');
    line.remove();
  });
});
