import { describe, it } from 'node:test';
import { fullTopic } from '../../src/core/topics.ts';
import { CONTRACT } from './contract.ts';
import { createTopics, freshEnvironment, openTestLog, SKIP } from './kafka-fixture.ts';

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
});
