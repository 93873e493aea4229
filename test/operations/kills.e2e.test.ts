import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { PlanDocument } from '../../src/core/operation-documents.ts';
import { ALL, CommandLine, fingerprint } from './command-line.ts';
import { diceOf, killPoint } from './kill-points.ts';

/** All 30 with MILLRACE_TEST_KILLS=30; MILLRACE_TEST_SEED repeats a run. */
const KILLS = Number(process.env['MILLRACE_TEST_KILLS'] ?? 8);
const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);

const line = new CommandLine();
after(() => line.remove());

describe(`a run that is killed, ${KILLS} times, seed ${SEED}`, () => {
  it('goes on where it was cut off, and ends as one that was not', async context => {
    const dice = diceOf(SEED);
    let killed = 0;
    for (let round = 0; killed < KILLS; round++) {
      assert.ok(round < 20 * KILLS, `${killed} of ${KILLS} kills happened`);
      const failpoint = killPoint(round, dice, 12);
      const env = { MILLRACE_OPERATIONS_TRIAL: 'off', MILLRACE_DEBUG_FAILPOINT: failpoint };
      const { signal, status, stdout, stderr } = await line.run(['run', ...ALL, '--json'], env);
      const what = `${failpoint} (seed ${SEED}, round ${round})`;
      context.diagnostic(`${what}: ${signal ?? 'ended before it'}`);
      if (signal === 'SIGKILL') killed += 1;
      else assert.equal(status, 0, `${what}: ${stdout.slice(-2000)}${stderr}`);
      await looksWithoutTrace(what);
      // What is there holds: a run that ends makes the plan empty, and begins anew from nothing.
      if (signal !== 'SIGKILL') await line.run(['uninstall']);
    }
    const last = await line.operate(ALL);
    assert.equal(last.ended.status, 0, `seed ${SEED}: ${last.ended.stdout}`);
    assert.equal((await line.plan()).changes, 0);
    assert.equal((await line.receipts()).intact, true);
    assert.equal((await line.operate(ALL)).summary.changes, 0);
  });
});

/** A plan after a kill changes nothing, and the receipts are whole. */
async function looksWithoutTrace(what: string): Promise<void> {
  const before = withoutScratch();
  const plan = await line.json<PlanDocument>(['plan']);
  assert.ok(plan.changes >= 0);
  assert.deepEqual(withoutScratch(), before, what);
  assert.equal((await line.receipts()).intact, true, what);
}

/** A query that the killed run had begun ends by itself a moment later, in a folder of its own. */
function withoutScratch(): object {
  return fingerprint(line.data, /\/scratch-/);
}
