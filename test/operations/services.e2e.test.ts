import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runningServers } from '../../src/cli/compose-servers.ts';
import { readSettings } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { StatusDocument } from '../../src/core/documents.ts';
import type { ReceiptsDocument } from '../../src/core/operation-documents.ts';
import { missingFor } from '../servers/servers.ts';
import { ALL, CommandLine, endOf, fingerprint } from './command-line.ts';

const TEST_MS_MAX = 600_000;
const SERVICES = ['--env', 'services'];
const ENV = { MILLRACE_OPERATIONS_TRIAL: 'off', MILLRACE_ENV: 'services' };

// Says what this machine lacks, where it lacks something.
const skip = await missingFor('redis', 'postgres', 'kafka');

const line = new CommandLine();
// PostgreSQL runs as another user in it.
chmodSync(join(line.data, '..'), 0o711);
const root = join(line.data, 'services');
const config = join(root, 'servers/redis/redis.conf');

after(async () => {
  await line.run(['down', ...SERVICES]);
  line.remove();
});

/** Names and pids of the servers that run. */
async function running(): Promise<Readonly<Record<string, number>>> {
  const settings = readSettings({ env: 'services', data: line.data }, {});
  return Object.fromEntries(await runningServers({ ...settings, config: loadConfig(settings).config }));
}

/** What a plan has to do, `Operation step`. */
async function due(): Promise<readonly string[]> {
  const { plan } = await line.plan(...SERVICES);
  return plan.flatMap(({ operation, changes }) =>
    changes.map(({ step }) => `${operation.replace('/services/DataPipeline', '')} ${step}`),
  );
}

/** Starts `up` and resolves when it serves. */
async function up() {
  const child = line.start(['up', '--port', '0', ...SERVICES], ENV);
  const end = endOf(child);
  while (!existsSync(join(root, 'serving.json'))) {
    if (child.exitCode !== null) throw new Error((await end).stderr);
    await delay(50);
  }
  return async () => {
    const startMs = performance.now();
    child.kill('SIGTERM');
    const { status, stderr } = await end;
    assert.equal(status, 0, stderr);
    return performance.now() - startMs;
  };
}

/** The texts of all files in a folder and those below. */
function textsIn(folder: string): readonly string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  );
  assert.ok(entries.length > 0, folder);
  return entries.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'));
}

const PROCESSES = ['kafka-1', 'postgres', 'redis'];
/** What brings stopped servers back; what is in the role can be seen only while the server runs. */
const STARTS = [
  'Provision/Kafka start',
  'Provision/Postgres role',
  'Provision/Postgres start',
  'Provision/Redis start',
];

describe('the servers of services as operations', { skip, timeout: TEST_MS_MAX }, () => {
  it('are planned without a trace, and done exactly as planned', async () => {
    const planned = await line.plan(...SERVICES);
    const early = await line.run(['worker', ...SERVICES]);
    assert.equal(early.status, 1, early.stderr);
    assert.match(early.stderr, /redis was not started with a password yet[\s\S]*millrace up --env services/);
    assert.equal(existsSync(line.data), false);
    assert.ok(planned.plan.some(({ operation }) => operation === 'Deploy/services/DataPipeline/KafkaSetup'));
    const { ended, summary } = await line.operate([...ALL, ...SERVICES], ENV);
    assert.equal(ended.status, 0, ended.stdout.slice(-2000) + ended.stderr);
    const sorted = (rows: readonly { operation: string }[]) =>
      rows.toSorted((left, right) => (left.operation < right.operation ? -1 : 1));
    const done = summary.receipts.map(({ operation, changes }) => ({ operation, changes }));
    assert.deepEqual(sorted(done), sorted(planned.plan));
    const told = [ended.stdout, ended.stderr, ...textsIn(join(root, 'operations'))].join('\n');
    for (const secret of textsIn(join(root, 'secrets'))) assert.ok(!told.includes(secret.trim()));
    const { observed } = summary.receipts.find(({ operation }) => operation.endsWith('/Redis'))!;
    assert.match(String(observed['redis']), /^Redis \d\S+ on 127\.0\.0\.1:\d+$/);
  });

  it('go on when the run has ended; the second one finds nothing to do and restarts none', async () => {
    const before = await running();
    assert.deepEqual(Object.keys(before).sort(), PROCESSES);
    const { ended, summary } = await line.operate([...ALL, ...SERVICES], ENV);
    assert.deepEqual([ended.status, summary.changes], [0, 0], ended.stdout);
    assert.deepEqual(await running(), before);
    const other = await line.plan(
      ...SERVICES,
      '--set',
      'kafka.workers=3',
      '--set',
      'log.queueBytesMax=60000000',
    );
    assert.deepEqual(other.plan, [], 'what topics do not follow from is no drift of theirs');
    const doctor = await line.run(['doctor', ...SERVICES], ENV);
    assert.match(
      doctor.stdout,
      / postgres: PostgreSQL 15[\s\S]* redis: Redis 7/,
      'nothing serves, both are looked at',
    );
  });

  it('are drifted where a file was edited by hand; the next run puts it back and restarts nothing', async () => {
    const before = await running();
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('policy noeviction', 'policy allkeys-lru'));
    const { plan } = await line.plan(...SERVICES);
    assert.deepEqual(
      plan.flatMap(({ changes }) => changes.map(change => [change.step, change.before, change.after])),
      [['config', 'maxmemory-policy allkeys-lru', 'maxmemory-policy noeviction']],
    );
    const doctor = await line.run(['doctor', ...SERVICES], ENV);
    assert.match(
      doctor.stdout,
      /Provision\/services\/DataPipeline\/Redis drifted[\s\S]*millrace run Provision/,
    );
    await line.operate([...ALL, ...SERVICES], ENV);
    assert.equal(readFileSync(config, 'utf8'), text);
    assert.deepEqual(await running(), before);
    assert.deepEqual(await due(), []);
  });

  it('that up found running stay when it ends, and down stops them', async () => {
    const before = await running();
    const stop = await up();
    assert.deepEqual(await due(), []);
    await stop();
    assert.deepEqual(await running(), before);
    await line.run(['down', ...SERVICES]);
    assert.deepEqual(await running(), {});
  });

  it('that are stopped are drift: just what starts them, planned without a trace', async () => {
    const before = fingerprint(line.data);
    assert.deepEqual((await due()).toSorted(), STARTS);
    assert.deepEqual(fingerprint(line.data), before);
  });

  it('that up started are stopped with it, in 15 s after the drain; meanwhile a plan is empty', async () => {
    const stop = await up();
    assert.deepEqual(Object.keys(await running()).sort(), PROCESSES);
    assert.deepEqual(await due(), []);
    assert.ok((await stop()) < 30_000);
    assert.deepEqual(await running(), {});
  });

  it('that crash while up runs are started again, with a receipt; status tells of it', async () => {
    const stop = await up();
    const { redis } = await running();
    process.kill(redis!, 'SIGKILL');
    while (((await running())['redis'] ?? redis) === redis) await delay(50);
    const status = async () =>
      (await line.json<StatusDocument>(['status', ...SERVICES])).components.find(
        ({ name }) => name === 'server redis',
      );
    while ((await status())?.state !== 'ok') await delay(100);
    assert.match((await status())?.detail ?? '', /^started again 1 time: redis: it/);
    const [last] = (await line.json<ReceiptsDocument>(['receipts', ...SERVICES])).receipts;
    assert.equal(last?.operation, 'Provision/services/DataPipeline/Redis');
    assert.deepEqual(
      last?.changes.map(({ step }) => step),
      ['start'],
    );
    await stop();
    assert.deepEqual(await running(), {});
  });

  it('are taken back one by one: stopped, their files removed, their data kept unless asked', async () => {
    await line.operate(['Provision/Redis', ...SERVICES], ENV);
    const foreign = join(root, 'servers/mine');
    mkdirSync(foreign);
    const undone = await line.run(['undo', 'Provision/Redis', '--json', ...SERVICES], ENV);
    assert.equal(undone.status, 0, undone.stdout + undone.stderr);
    assert.deepEqual(await running(), {});
    assert.equal(existsSync(config), false);
    assert.ok(existsSync(join(root, 'servers/redis/data')) && existsSync(join(root, 'secrets/redis')));
    const rest = await line.run(['undo', 'Provision/Redis', '--remove-data', '--json', ...SERVICES], ENV);
    assert.equal(rest.status, 0, rest.stdout + rest.stderr);
    assert.equal(existsSync(join(root, 'servers/redis')) || existsSync(join(root, 'secrets/redis')), false);
    assert.ok(existsSync(foreign) && existsSync(join(root, 'servers/kafka')));
  });
});
