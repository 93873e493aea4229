import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { CommandLine } from './command-line.ts';

describe('what is easily typed wrong', () => {
  const line = new CommandLine();
  after(() => line.remove());
  const beside = (name: string) => join(line.data, '..', name);
  const refusal = async (args: readonly string[]) => {
    const { status, stdout } = await line.run([...args, '--json']);
    const { error } = JSON.parse(stdout) as { error: { code: string; why: string; remedy: string } };
    return { status, ...error };
  };

  it('a file of a plan that is not there, or holds none, is said as that', async () => {
    const none = await refusal(['run', beside('none.json')]);
    assert.deepEqual([none.status, none.code], [2, 'ERR_FILE_UNREADABLE']);
    assert.match(none.why, /there is no file .*none\.json/);
    for (const text of ['', '[]', '{"plan":[]}', '{"plan":[],"environment":"local","paths":[1]}']) {
      writeFileSync(beside('odd.json'), text);
      const odd = await refusal(['run', beside('odd.json')]);
      assert.deepEqual([odd.status, odd.code], [2, 'ERR_FILE_UNREADABLE'], text);
      assert.match(odd.why, /holds no plan/);
    }
    assert.equal(existsSync(line.data), false);
  });

  it('--job without the operation that it narrows is refused, not passed over', async () => {
    for (const command of ['run', 'plan']) {
      const refused = await refusal([command, 'Build', '--job', 'dedup']);
      assert.deepEqual([refused.status, refused.code], [2, 'ERR_USAGE']);
      assert.match(refused.why, /Deploy\/Yarn/);
    }
    assert.equal(existsSync(line.data), false);
  });

  it('down names what it cannot stop, and stops nothing', async () => {
    const servers = ['--set', 'tables.adapter=postgresql', '--set', 'postgres.target=host'];
    const inside = await refusal(['down', 'Provision/Postgres', 'Provision/Influxdb', ...servers]);
    assert.deepEqual([inside.status, inside.code], [2, 'ERR_OPERATION_TARGET']);
    assert.match(inside.why, /^Provision\/local\/DataPipeline\/Influxdb is part of the serving process/);
    const redis = ['--set', 'state.adapter=redis', '--set', 'redis.target=external'];
    const foreign = await refusal(['down', 'Provision/Redis', ...redis]);
    assert.deepEqual([foreign.status, foreign.code], [2, 'ERR_OPERATION_TARGET']);
    assert.match(foreign.why, /Redis is run by others/);
  });

  it('undo of what has none, and a plan that goes nowhere, leave nothing behind', async () => {
    const undone = await refusal(['undo', 'Deploy/Yarn']);
    assert.deepEqual([undone.status, undone.code], [1, 'ERR_UNDO_REFUSED']);
    const lost = await refusal(['plan', 'Build', '--out', beside('none/plan.json')]);
    assert.deepEqual([lost.status, lost.code], [1, 'ERR_PATH_REFUSED']);
    assert.match(lost.why, /none\/plan\.json/);
    assert.equal(existsSync(line.data), false);
  });

  it('a saved plan of one job is that plan when it is run', async () => {
    const file = beside('dedup.json');
    await line.plan('Deploy/Yarn', '--job', 'dedup', '--set', 'operations.trial=off', '--out', file);
    const { ended, summary } = await line.operate([file, '--set', 'operations.trial=off']);
    assert.equal(ended.status, 0, ended.stdout);
    const yarn = summary.receipts.find(({ operation }) =>
      operation.endsWith('Deploy/local/DataPipeline/Yarn'),
    );
    assert.deepEqual(
      yarn?.changes.map(({ step }) => step),
      ['job-dedup', 'record'],
    );
  });
});
