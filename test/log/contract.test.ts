import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { CONTRACT, JOURNALED_CONTRACT, OWN_TOPICS } from './contract.ts';
import { openLog, TEST_TOPICS, temporaryDirectory } from './open-log.ts';

for (const [name, check] of Object.entries({ ...CONTRACT, ...JOURNALED_CONTRACT })) {
  test(`memory log: ${name}`, async () => {
    const log = openMemoryLog(TEST_TOPICS);
    await check(log, OWN_TOPICS);
    await log.close();
  });

  test(`embedded log: ${name}`, async context => {
    await check(await openLog(context, temporaryDirectory(context)), OWN_TOPICS);
  });

  test(`log of another thread: ${name}`, async context => {
    const log = await openLog(context, temporaryDirectory(context));
    const shared = log.share();
    const worker = new Worker(new URL('contract-worker.ts', import.meta.url), {
      workerData: { name, shared },
      transferList: [shared.port as never],
    });
    // Both at once: a thread that has ended before its message is looked at emits them in one go.
    const [[failure]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    assert.equal(failure, null);
  });
}
