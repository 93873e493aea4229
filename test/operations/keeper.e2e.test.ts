import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ReceiptsDocument } from '../../src/core/operation-documents.ts';
import { missingFor } from '../servers/servers.ts';
import { CommandLine } from './command-line.ts';
import { runningPids, type Serving, startUp, untilComponent } from './serving.ts';

const STARTS_MAX = 3;
const SETS = ['cache.adapter=redis', 'redis.target=host', `operations.restartsMax=${STARTS_MAX}`];
const FLAGS = SETS.flatMap(set => ['--set', set]);
const REDIS = 'Provision/local/DataPipeline/Redis';
const skip = await missingFor('redis');

describe('a server that dies again and again', { skip, timeout: 300_000 }, () => {
  const line = new CommandLine();
  let serving: Serving;
  before(async () => {
    serving = await startUp(line, 'local', FLAGS);
  });
  after(async () => {
    await serving?.stop();
    assert.equal((await pids()).size, 0, 'up stops what it keeps running');
    line.remove();
  });

  const pids = () => runningPids(line, 'local', SETS);
  const untilRedis = (isMet: Parameters<typeof untilComponent>[1]['isMet']) =>
    untilComponent(line, { environment: 'local', name: 'server redis', isMet });
  const failures = async () =>
    (await line.json<ReceiptsDocument>(['receipts', REDIS, ...FLAGS])).receipts.filter(
      ({ outcome }) => outcome === 'failed',
    ).length;
  const kill = async () => process.kill((await pids()).get('redis')!, 'SIGKILL');
  const runIt = async () => {
    const { ended } = await line.operate([REDIS, ...FLAGS]);
    assert.equal(ended.status, 0, ended.stdout);
    await untilRedis(found => found === undefined);
  };

  it('is given up after so many starts: failed, with what it said last and what to do', async () => {
    const manifest = join(line.data, 'local/servers/redis/data/appendonlydir/appendonly.aof.manifest');
    const whole = readFileSync(manifest);
    writeFileSync(manifest, 'this is no manifest\n');
    await kill();
    const failed = await untilRedis(found => found?.state === 'failed');
    assert.match(failed!.detail, /^started again 3 times, given up: redis does not run: it ended/);
    assert.match(failed!.detail, /it said last:[\s\S]+manifest[\s\S]+try: mend[\s\S]+millrace run Provision/);
    assert.equal(await failures(), STARTS_MAX);
    const shown = await line.run(['status']);
    assert.match(shown.stdout, /server redis failed: started again 3 times, given up/);
    const doctor = await line.run(['doctor', ...FLAGS]);
    assert.match(doctor.stdout, /Redis failed[\s\S]+millrace run Provision\/local\/DataPipeline\/Redis/);
    writeFileSync(manifest, whole);
    await runIt();
    assert.equal(await failures(), STARTS_MAX, 'nothing was tried after it was given up');
  });

  it('is kept again once somebody ran its operation', async () => {
    await kill();
    const up = await untilRedis(found => found?.state === 'ok');
    assert.match(up!.detail, /^started again 1 time: redis: it/);
  });

  it('is restarted by name while up serves: another process, a receipt, and no crash for the keeper', async () => {
    const before = (await pids()).get('redis');
    const ended = await line.run(['restart', 'Provision/Redis', '--json', ...FLAGS]);
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    assert.notEqual((await pids()).get('redis'), before);
    const [last] = (await line.json<ReceiptsDocument>(['receipts', REDIS, ...FLAGS])).receipts;
    assert.deepEqual([last?.verb, last?.outcome], ['restart', 'applied']);
    assert.deepEqual(
      last?.changes.map(({ step, before: from, after: to }) => [step, from, to]),
      [['restart', `running, pid ${before}`, 'running']],
    );
    assert.match(String(last?.observed['redis']), /^Redis \d/, 'it was asked afterwards');
    const loaded = join(line.data, '..', 'users.jsonl');
    writeFileSync(loaded, '{"key":"user-1","value":{"usertype":"teacher"}}\n');
    const load = await line.run(['cache', 'load', 'user', loaded]);
    assert.equal(load.status, 0, `the pipeline goes on with it: ${load.stderr}`);
  });

  it('restarts nothing that others run, or that runs nothing by itself', async () => {
    const others = await line.run(['restart', 'Provision/Redis', ...FLAGS, '--set', 'redis.target=external']);
    assert.equal(others.status, 2, others.stderr);
    assert.match(others.stderr, /Provision\/local\/DataPipeline\/Redis is run by others[\s\S]+where it runs/);
    const mixed = await line.run(['restart', 'Provision', ...FLAGS]);
    assert.match(mixed.stderr, /names servers and parts of the serving process[\s\S]+DataPipeline\/Redis/);
    const inside = await line.run(['restart', 'Deploy/Yarn', ...FLAGS]);
    assert.match(inside.stderr, /process \d+ serves in the foreground/);
  });

  it('is not taken back while up serves, as what nobody uses is', async () => {
    const refused = await line.run(['undo', 'Provision/Redis', '--json', ...FLAGS]);
    assert.match(
      refused.stdout,
      /ERR_UNDO_REFUSED.*serves the environment and uses Provision.*millrace down/,
    );
    assert.equal((await pids()).size, 1);
    const undone = await line.run(['undo', 'Provision/Yarn', '--json', ...FLAGS]);
    assert.equal(undone.status, 0, undone.stdout);
    const { changes } = await line.plan('Provision/Yarn', ...FLAGS);
    assert.equal(changes, 1, 'running it again puts its record back');
  });

  it('is given up as well where another program has its port, by name', async () => {
    const [, port] = /^port (\d+)$/m.exec(
      readFileSync(join(line.data, 'local/servers/redis/redis.conf'), 'utf8'),
    )!;
    await kill();
    const other = createServer();
    // It may have been started again meanwhile: until the port is ours, it is killed once more.
    for (let isOurs = false; !isOurs; ) {
      other.listen(Number(port), '127.0.0.1');
      isOurs = await once(other, 'listening').then(
        () => true,
        () => false,
      );
      if (!isOurs) await kill().catch(() => undefined);
    }
    const failed = await untilRedis(found => found?.state === 'failed');
    assert.match(failed!.detail, /given up: redis is to listen on 127\.0\.0\.1:\d+/);
    other.close();
    await runIt();
  });
});
