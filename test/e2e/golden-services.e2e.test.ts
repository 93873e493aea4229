import { describe } from 'node:test';
import { missingFor } from '../servers/servers.ts';
import { goldenMissing } from './golden-data.ts';
import { testGoldenBatches, testOtherInputs } from './golden-run.ts';

// Each run has servers of its own.
const skip = (await missingFor('redis', 'postgres', 'kafka')) || goldenMissing;

describe('golden run on Kafka, Redis and PostgreSQL', { skip }, () =>
  testGoldenBatches({ environment: 'services', sets: [] }),
);

describe('golden run on Kafka, Redis and PostgreSQL, chain.split=dedup,denormalise', { skip }, () =>
  testGoldenBatches({ environment: 'services', sets: ['chain.split=dedup,denormalise', 'kafka.workers=2'] }),
);

const isLong = process.env['MILLRACE_TEST_LONG'] === '1';
const skipOld = isLong ? skip : 'the longer suite runs it: MILLRACE_TEST_LONG=1';

describe('golden run on Kafka 3.9 with ZooKeeper, Redis and PostgreSQL', { skip: skipOld }, () =>
  testGoldenBatches({ environment: 'services', sets: ['kafka.generation=zookeeper'] }),
);

describe('the other inputs of the golden data, on Kafka, Redis and PostgreSQL', { skip }, () =>
  testOtherInputs({ environment: 'services', sets: [] }),
);
