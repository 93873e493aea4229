import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { OperationsDocument } from '../../src/core/operation-documents.ts';
import { ALL, CommandLine, fingerprint } from './command-line.ts';

/** Made-up numbers of ops-jobs' list of regressions stand in the names of the tests. */
const line = new CommandLine();
after(() => line.remove());

describe('the whole sequence on embedded', () => {
  it('plans without a trace: not even the data directory is made', async () => {
    const plan = await line.plan();
    assert.equal(plan.plan.length, 24);
    assert.equal(
      plan.changes,
      plan.plan.reduce((sum, { changes }) => sum + changes.length, 0),
    );
    assert.equal(existsSync(line.data), false);
    const { operations } = await line.json<OperationsDocument>(['operations']);
    assert.deepEqual(new Set(operations.map(({ state }) => state)), new Set(['absent']));
    assert.equal(existsSync(line.data), false);
    assert.equal((await line.run(['plan', '--exit-code'])).status, 1);
  });

  it('does exactly what it planned', async () => {
    const planned = await line.plan();
    const { ended, events, summary } = await line.operate(ALL);
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    assert.deepEqual([summary.ok, summary.changes], [true, planned.changes]);
    const done = summary.receipts.map(({ operation, changes }) => ({ operation, changes }));
    const byPath = (rows: readonly { operation: string }[]) =>
      [...rows].sort((left, right) => (left.operation < right.operation ? -1 : 1));
    assert.deepEqual(byPath(done), byPath(planned.plan));
    assert.ok(
      events.every(({ timeMs, operation, phase }) => timeMs > 0 && operation !== '' && phase !== undefined),
    );
  });

  it('1: does nothing the second time', async () => {
    const before = fingerprint(line.data);
    const { ended, summary } = await line.operate(ALL);
    assert.equal(ended.status, 0);
    assert.deepEqual(summary, { receipts: [], changes: 0, ok: true });
    const changed = Object.entries(fingerprint(line.data)).filter(([path, text]) => before[path] !== text);
    // The record of the run, and nothing else.
    assert.deepEqual(
      changed.map(([path]) => path).filter(path => !/run\.(lock|json)/.test(path)),
      ['local/operations/receipts.jsonl'],
    );
    assert.equal((await line.run(['plan', '--exit-code'])).status, 0);
  });

  it('plans byte for byte without a trace where everything is there', async () => {
    const before = fingerprint(line.data);
    await line.plan();
    await line.json(['operations']);
    for (const folder of ['Build', 'Bootstrap', 'Provision', 'Deploy']) {
      await line.json(['operations', 'describe', folder]);
    }
    await line.json(['doctor']);
    assert.deepEqual(fingerprint(line.data), before);
  });

  it('says partial, and what is missing, where a later release brings a part', async () => {
    const { operations } = await line.json<OperationsDocument>(['operations']);
    const partial = operations.filter(({ state }) => state === 'partial');
    assert.ok(partial.length > 0);
    for (const { missing } of partial) assert.ok(missing.length > 0);
    for (const { state, missing } of operations) {
      if (state !== 'partial') assert.deepEqual([state, missing], ['applied', []]);
    }
    const { receipts } = await line.receipts();
    for (const { path, missing } of partial) {
      const receipt = receipts.find(({ operation }) => operation === path);
      assert.deepEqual([receipt?.outcome, receipt?.missing], ['partial', missing], path);
    }
  });

  it('chains receipts: one an operation, one record a run, and finds a changed one', async () => {
    const { receipts, runs, intact } = await line.receipts();
    assert.deepEqual([receipts.length, runs.length, intact], [24, 2, true]);
    assert.deepEqual(
      runs.map(({ changes }) => changes === 0),
      [true, false],
    );
    assert.equal((await line.json<{ receipts: object[] }>(['receipts', '--limit', '3'])).receipts.length, 3);
    const file = join(line.data, 'local/operations/receipts.jsonl');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"outcome":"partial"', '"outcome":"applied"'));
    assert.equal((await line.json<{ intact: boolean }>(['receipts'], 1)).intact, false);
    writeFileSync(file, text);
  });

  it('finds drift and mends it, and nothing else', async () => {
    rmSync(join(line.data, 'local/archive'), { recursive: true });
    rmSync(join(line.data, 'local/operations/records/jobs/dedup.json'));
    const plan = await line.plan();
    assert.deepEqual(
      plan.plan.map(({ operation, changes }) => [operation, changes.map(({ step }) => step)]),
      [
        ['Provision/local/DataPipeline/AnalyticsSecor', ['folder-archive']],
        ['Deploy/local/DataPipeline/Yarn', ['job-dedup']],
      ],
    );
    const { summary } = await line.operate(ALL);
    assert.equal(summary.changes, 2);
  });

  it('runs a saved plan, and refuses it where things changed since', async () => {
    const file = join(line.data, '..', 'plan.json');
    rmSync(join(line.data, 'local/operations/records/Provision-Redis.json'));
    await line.plan('Provision/Redis', '--out', file);
    assert.equal((await line.operate([file])).summary.changes, 1);
    const stale = await line.operate([file]);
    assert.deepEqual([stale.ended.status, stale.summary.error?.code], [1, 'ERR_PLAN_STALE']);
  });

  it('6, 7: deploys one job by its exact name and touches no other', async () => {
    const jobs = join(line.data, 'local/operations/records/jobs');
    for (const job of ['route', 'summarise-route']) rmSync(join(jobs, `${job}.json`));
    const before = fingerprint(jobs);
    const { summary } = await line.operate(['Deploy/Yarn', '--job', 'route']);
    assert.deepEqual(
      summary.receipts.map(({ changes }) => changes.map(({ step }) => step)),
      [['job-route']],
    );
    const { 'route.json': made, ...others } = fingerprint(jobs);
    assert.ok(made !== undefined);
    assert.deepEqual(others, before);
    await line.operate(['Deploy/Yarn']);
    assert.equal((await line.run(['run', 'Deploy/Yarn', '--job', 'rout'])).status, 2);
  });

  it('3: adds partitions, and refuses to take some away', async () => {
    const more = await line.operate(['Deploy/KafkaSetup', '--set', 'log.partitions=3']);
    assert.deepEqual(
      more.summary.receipts.map(({ changes }) => changes.map(({ step }) => step)),
      [['partitions']],
    );
    const fewer = await line.operate(['Deploy/KafkaSetup', '--set', 'log.partitions=2']);
    assert.equal(fewer.ended.status, 2);
    assert.match(fewer.summary.error?.why ?? '', /has 3 partitions, not 2/);
  });

  it('names the environment once: in the path, by --env, never two', async () => {
    const refused = await line.run(['plan', 'Provision/local/Kafka', '--env', 'production']);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /local and production/);
    assert.equal((await line.run(['plan', 'Provision/locla/Kafka'])).status, 2);
    assert.equal((await line.run(['plan', 'Yarn'])).status, 2);
    assert.match((await line.run(['plan', 'Kafak'])).stderr, /did you mean Kafka\?/);
  });

  it('undoes what holds nothing, and refuses what does', async () => {
    const undone = await line.run(['undo', 'Provision/Redis', '--json', '--set', 'log.partitions=3']);
    assert.equal(undone.status, 0, undone.stdout + undone.stderr);
    assert.equal(existsSync(join(line.data, 'local/state')), false);
    writeFileSync(join(line.data, 'local/archive/object'), 'kept');
    const refused = await line.run(['undo', 'Provision/AnalyticsSecor', '--set', 'log.partitions=3']);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /ERR_UNDO_REFUSED|it holds 1/);
    assert.equal(readFileSync(join(line.data, 'local/archive/object'), 'utf8'), 'kept');
    assert.equal((await line.run(['undo', 'Deploy/Yarn'])).status, 1);
  });
});

describe('the sequence step by step, as the original documents it', () => {
  const steps = new CommandLine();
  after(() => steps.remove());

  it('runs one operation after another; what one pulled in has nothing left to do at its own turn', async () => {
    const { operations } = await steps.json<OperationsDocument>(['operations']);
    const pulled: string[] = [];
    for (const { path } of operations) {
      const { ended, summary } = await steps.operate([path, '--set', 'operations.trial=off']);
      assert.equal(ended.status, 0, `${path}: ${ended.stdout}`);
      if (summary.changes === 0) pulled.push(path);
    }
    assert.deepEqual(pulled, ['Provision/local/DataPipeline/Zookeeper']);
  });

  it('refuses with --only what its needs are not in place for, naming them', async () => {
    const alone = new CommandLine();
    const { ended, summary } = await alone.operate(['Deploy/Secor', '--only']);
    assert.deepEqual([ended.status, summary.error?.code], [1, 'ERR_NEEDS_UNMET']);
    assert.match(
      summary.error?.why ?? '',
      /Build\/DataPipeline\/Secor, .*Provision\/local\/DataPipeline\/Kafka/,
    );
    alone.remove();
  });
});
