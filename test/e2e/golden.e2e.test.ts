import { describe } from 'node:test';
import { goldenMissing } from './golden-data.ts';
import { testGoldenBatches, testOtherInputs } from './golden-run.ts';

for (const split of ['', 'dedup,denormalise']) {
  const title = split === '' ? 'the fused chain' : `chain.split=${split}`;
  describe(`golden run: ${title}`, { skip: goldenMissing }, () =>
    testGoldenBatches({ environment: 'local', sets: [`chain.split=${split}`] }),
  );
}

describe('the other inputs of the golden data', { skip: goldenMissing }, () =>
  testOtherInputs({ environment: 'local', sets: [] }),
);
