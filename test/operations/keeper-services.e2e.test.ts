import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ReceiptsDocument } from '../../src/core/operation-documents.ts';
import { type Load, startLoad } from '../e2e/load.ts';
import { Millrace } from '../e2e/millrace.ts';
import { assertNothingLostOrDoubled } from '../e2e/oracle.ts';
import { missingFor } from '../servers/servers.ts';
import { runningPids } from './serving.ts';

const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
const LOOK_MS = 200;
const isLong = process.env['MILLRACE_TEST_LONG'] === '1';
const skip = isLong
  ? await missingFor('redis', 'postgres', 'kafka')
  : 'the longer suite runs it: MILLRACE_TEST_LONG=1';

/** Processes by the server that they belong to. */
const SERVERS = [
  ['kafka', 'kafka-1'],
  ['postgres', 'postgres'],
  ['redis', 'redis'],
] as const;

describe(`servers that go away while events come, seed ${SEED}`, { skip, timeout: 900_000 }, () => {
  let millrace: Millrace;
  let load: Load;
  before(async () => {
    millrace = await Millrace.create([], 'services');
    await millrace.up();
    load = startLoad(millrace, SEED, 2);
  });
  after(async () => {
    load?.abandon();
    await millrace?.remove();
  });

  const pidOf = async (process: string) => (await runningPids(millrace, 'services')).get(process);
  const receiptOf = async (name: string) =>
    (await millrace.json<ReceiptsDocument>(['receipts', `Provision/${name}`, '--limit', '1'])).receipts[0];

  for (const [server, name] of SERVERS) {
    it(`${server}: killed, it is started again by its keeper, with a receipt`, async () => {
      const [pid, before] = [(await pidOf(name))!, await receiptOf(server)];
      process.kill(pid, 'SIGKILL');
      let receipt = before;
      // The test's own deadline ends it.
      while (receipt?.id === before?.id) {
        await delay(LOOK_MS);
        receipt = await receiptOf(server);
      }
      assert.notEqual(await pidOf(name), pid);
      assert.deepEqual([receipt?.outcome, receipt?.verb], ['applied', 'run'], JSON.stringify(receipt));
      assert.match(receipt!.changes.map(change => change.before).join(), /failed: it/);
    });
  }

  for (const [server, name] of SERVERS) {
    it(`${server}: restarted by name, another process runs`, async () => {
      const pid = await pidOf(name);
      const restarted = await millrace.run(['restart', `Provision/${server}`, '--rolling']);
      assert.equal(restarted.code, 0, restarted.stdout + restarted.stderr);
      assert.notEqual(await pidOf(name), pid);
      assert.equal((await receiptOf(server))?.verb, 'restart');
    });
  }

  it('and nothing is lost or doubled', async () => {
    const report = await load.stop();
    assert.ok(report.valid.size > 100, `${report.valid.size} events`);
    await assertNothingLostOrDoubled(millrace, report);
  });
});
