import './three-brokers.ts';
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
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

  for (const node of [1, 2, 3]) {
    it(`by a process of whose brokers the ${node}. is killed as it asks`, async test => {
      const { environment, alpha, log, open } = await filled(test);
      const records = await pollAtLeast(await log.consume('g', [alpha]), RECORDS, WAIT_MS_MAX);
      const pid = await brokerPid(node);
      onNextCommit(() => process.kill(pid, 'SIGKILL'));
      const committed = copy(log, environment, records);
      // The client goes on with a broker that has come back in time, so either end is right; the copies tell.
      await Promise.all([
        restartBroker(node),
        committed.catch(error => assert.equal(error.code, FENCED.code)),
      ]);
      await log.close();
      await assertCopiedOnce({ environment, alpha }, await open());
    });
  }
});
