import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { missingFor } from '../servers/servers.ts';
import { ALL, CommandLine } from './command-line.ts';
import { diceOf, killPoint } from './kill-points.ts';

const KILLS = 5;
const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
const TEST_MS_MAX = 1_800_000;
const SERVICES = ['--env', 'services', '--set', 'operations.trial=off'];
const isLong = process.env['MILLRACE_TEST_LONG'] === '1';

/** Servers are started for each of them: for the longer suite. */
const skip = isLong
  ? await missingFor('redis', 'postgres', 'kafka')
  : 'the longer suite runs it: MILLRACE_TEST_LONG=1';

const line = new CommandLine();
// PostgreSQL runs as another user in it.
chmodSync(join(line.data, '..'), 0o711);

after(async () => {
  await line.run(['down', ...SERVICES]);
  line.remove();
});

describe(`a run of services that is killed, ${KILLS} times, seed ${SEED}`, {
  skip,
  timeout: TEST_MS_MAX,
}, () => {
  it('goes on where it was cut off, with the servers that were left running', async context => {
    const dice = diceOf(SEED);
    let killed = 0;
    for (let round = 0; killed < KILLS; round++) {
      assert.ok(round < 4 * KILLS, `${killed} of ${KILLS} kills happened`);
      const failpoint = killPoint(round, dice, 24);
      const { signal, status, stdout, stderr } = await line.run(['run', ...ALL, '--json', ...SERVICES], {
        MILLRACE_DEBUG_FAILPOINT: failpoint,
      });
      const what = `${failpoint} (seed ${SEED}, round ${round})`;
      context.diagnostic(`${what}: ${signal ?? 'ended before it'}`);
      if (signal === 'SIGKILL') killed += 1;
      else assert.equal(status, 0, `${what}: ${stdout.slice(-2000)}${stderr}`);
      await line.plan(...SERVICES);
      assert.equal((await line.json<{ intact: boolean }>(['receipts', ...SERVICES])).intact, true);
      // One that ended begins anew: from stopped servers every second time, else from nothing.
      if (signal !== 'SIGKILL') await line.run([round % 2 === 0 ? 'down' : 'uninstall', ...SERVICES]);
    }
    const last = await line.operate([...ALL, ...SERVICES]);
    assert.equal(last.ended.status, 0, `seed ${SEED}: ${last.ended.stdout.slice(-2000)}`);
    assert.equal((await line.plan(...SERVICES)).changes, 0);
    assert.equal((await line.operate([...ALL, ...SERVICES])).summary.changes, 0);
  });
});
