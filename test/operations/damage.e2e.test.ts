import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { OperationsDocument, PlanDocument } from '../../src/core/operation-documents.ts';
import { ALL, CommandLine } from './command-line.ts';

const ENV = { MILLRACE_OPERATIONS_TRIAL: 'off' };

describe('what operations remember, damaged by hand or by a power cut', () => {
  const line = new CommandLine();
  after(() => line.remove());
  const own = (path: string) => join(line.data, 'local/operations', path);

  it('is drift that a run mends, and stops no command', async () => {
    assert.equal((await line.operate(ALL, ENV)).summary.ok, true);
    writeFileSync(own('records/Provision-Redis.json'), '{"compo');
    writeFileSync(own('records/Deploy-Secor.json'), '[]');
    writeFileSync(own('topics.json'), '');
    writeFileSync(own('unfinished/Build-Secor.json'), '');
    const [log = ''] = readdirSync(own('runs'));
    appendFileSync(own(`runs/${log}`), 'cut o\n');
    const { operations } = await line.json<OperationsDocument>(['operations']);
    const off = operations.filter(({ state }) => state !== 'applied' && state !== 'partial');
    assert.deepEqual(
      off.map(({ path, state }) => [path.split('/').at(-1), state]),
      [
        ['Secor', 'failed'],
        ['Redis', 'drifted'],
        ['KafkaSetup', 'drifted'],
        ['Secor', 'drifted'],
      ],
    );
    assert.match((await line.run(['logs', 'Provision/Redis'])).stdout, /applied Provision/);
    const { summary } = await line.operate(ALL, ENV);
    assert.deepEqual([summary.ok, summary.receipts.length], [true, 4]);
    assert.equal((await line.plan('--set', 'operations.trial=off')).changes, 0);
  });
});

describe('a support bundle', () => {
  const line = new CommandLine();
  after(() => line.remove());
  const REDIS = ['--set', 'state.adapter=redis', '--set', 'redis.target=host'];

  it('holds no password that was drawn here, wherever it stands', async () => {
    const root = join(line.data, 'local');
    const secret = 'drawn-kZ0v9mX2cQ7w';
    mkdirSync(join(root, 'secrets'), { recursive: true });
    writeFileSync(join(root, 'secrets/redis'), `${secret}\n`, { mode: 0o600 });
    mkdirSync(join(root, 'operations/runs'), { recursive: true });
    const event = { timeMs: 1, operation: 'x', phase: 'progress', step: null, message: `with ${secret}` };
    writeFileSync(join(root, 'operations/runs/1-1.jsonl'), `${JSON.stringify(event)}\n`);
    const file = join(line.data, '..', 'bundle.json');
    const { status, stderr } = await line.run(['support-bundle', '--out', file, ...REDIS]);
    assert.equal(status, 0, stderr);
    const text = readFileSync(file, 'utf8');
    assert.deepEqual([text.includes(secret), text.includes('with (secret)')], [false, true]);
  });

  it('is written also where a server cannot be looked at: that is what it tells', async () => {
    const file = join(line.data, '..', 'away.json');
    const away = ['--set', 'redis.target=external', '--set', 'redis.host=127.0.0.1', '--set', 'redis.port=1'];
    const { status, stderr } = await line.run(['support-bundle', '--out', file, ...REDIS, ...away]);
    assert.equal(status, 0, stderr);
    const { plan } = JSON.parse(readFileSync(file, 'utf8')) as {
      plan: PlanDocument | { error: { code: string } };
    };
    assert.equal('error' in plan && plan.error.code, 'ERR_STORE_UNAVAILABLE');
  });
});
