import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { fullTopic } from '../../src/core/topics.ts';
import { CONTRACT } from './contract.ts';
import { createTopics, freshEnvironment, openTestLog, SKIP } from './kafka-fixture.ts';
import { readSoon } from './open-log.ts';

describe('log on Kafka: contract', { skip: SKIP }, () => {
  for (const [name, check] of Object.entries(CONTRACT)) {
    it(name, async test => {
      const environment = freshEnvironment();
      await createTopics(environment, { alpha: 2, beta: 1 });
      const log = await openTestLog(test, environment);
      await check(log, { alpha: fullTopic(environment, 'alpha'), beta: fullTopic(environment, 'beta') });
      await log.close();
    });
  }

  it('takes more of what jobs make than what may come in, also where nothing compresses it', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 1, beta: 1 });
    const log = await openTestLog(test, environment);
    const alpha = fullTopic(environment, 'alpha');
    const value = randomBytes(12 * 1024 * 1024);
    const records = [{ key: null, timeMs: Date.now(), headers: {}, value }];
    await log.commit({ appends: [{ topic: alpha, partition: 0, records }], counters: { 'made.large': 1 } });
    const [read] = await readSoon(log, alpha, 0, 1);
    assert.ok(value.equals(read!.value));
    await log.close();
  });
});
