import './three-brokers.ts';
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../src/core/errors.ts';
import type { ServedLog } from '../../src/core/ports.ts';
import { brokerPid, pollAtLeast, restartBroker, SKIP } from './kafka-fixture.ts';
import {
  assertCopiedOnce,
  copy,
  FENCED,
  filled,
  forgetNextCommit,
  onNextCommit,
  RECORDS,
  WAIT_MS_MAX,
} from './settled-copies.ts';

// One alone: kafka-settled-alone.
describe('log on three brokers: a commit that may have happened is not made again', { skip: SKIP }, () => {
  afterEach(forgetNextCommit);

  for (const nodes of [[1], [2], [3], [1, 2, 3]]) {
    it(`by a process of whose brokers ${nodes.join(', ')} are killed as it asks`, async test => {
      const { environment, alpha, log, open } = await filled(test);
      const records = await pollAtLeast(await log.consume('g', [alpha]), RECORDS, WAIT_MS_MAX);
      const pids = await Promise.all(nodes.map(brokerPid));
      onNextCommit(() => {
        for (const pid of pids) process.kill(pid, 'SIGKILL');
      });
      const committed = copy(log, environment, records);
      // The client goes on with a broker that has come back in time, so either end is right; the copies tell.
      await Promise.all([
        restartBroker(...nodes),
        committed.catch(error => assert.equal(error.code, FENCED.code)),
      ]);
      await log.close();
      await assertCopiedOnce({ environment, alpha }, await onceInSync(open));
    });
  }
});

/** Opens a log as soon as each partition has its copies again: none of those that were killed was in sync. */
async function onceInSync(open: () => Promise<ServedLog>): Promise<ServedLog> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  // Ends with a log, another error, or at the deadline.
  while (true) {
    try {
      return await open();
    } catch (error) {
      const isEarly = error instanceof MillraceError && error.code === 'ERR_REPLICAS_TOO_FEW';
      if (!isEarly || performance.now() > deadlineMs) throw error;
      await sleep(50);
    }
  }
}
