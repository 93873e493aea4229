import { describe } from 'node:test';
import { startServers } from '../servers/servers.ts';
import { goldenMissing } from './golden-data.ts';
import { testGoldenBatches, testOtherInputs } from './golden-run.ts';

// Brought up once here for what it says where this machine lacks something; each run has servers of its own.
const tried = await startServers(['redis', 'postgres', 'kafka']);
const skip = 'skip' in tried ? tried.skip : goldenMissing;

describe('golden run on Kafka, Redis and PostgreSQL', { skip }, () =>
  testGoldenBatches({ environment: 'services', sets: [] }),
);

describe('golden run on Kafka, Redis and PostgreSQL, chain.split=dedup,denormalise', { skip }, () =>
  testGoldenBatches({ environment: 'services', sets: ['chain.split=dedup,denormalise', 'kafka.workers=2'] }),
);

describe('the other inputs of the golden data, on Kafka, Redis and PostgreSQL', { skip }, () =>
  testOtherInputs({ environment: 'services', sets: [] }),
);
