import { describe } from 'node:test';
import { missingFor } from '../servers/servers.ts';
import { testPublishing } from './publish-run.ts';

const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
const isLong = process.env['MILLRACE_TEST_LONG'] === '1';
const skip = isLong
  ? await missingFor('redis', 'postgres', 'kafka')
  : 'the longer suite runs it: MILLRACE_TEST_LONG=1';

describe(`schemas published to two workers on Kafka (seed ${SEED}, repeat with MILLRACE_TEST_SEED)`, {
  skip,
}, () => {
  testPublishing({
    environment: 'services',
    sets: ['kafka.workers=2'],
    workers: 2,
    seed: SEED,
    publishes: 4,
    batchEvents: 50,
    perSecondMin: 200,
  });
});
