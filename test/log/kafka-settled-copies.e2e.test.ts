import './three-brokers.ts';
import { afterEach, describe, it } from 'node:test';
import { SKIP } from './kafka-fixture.ts';
import { forgetNextCommit, killAsCommitIsAsked } from './settled-copies.ts';

// One alone: kafka-settled-alone.
describe('log on three brokers: a commit that may have happened is not made again', { skip: SKIP }, () => {
  afterEach(forgetNextCommit);

  for (const nodes of [[1], [2], [3], [1, 2, 3]]) {
    it(`by a process of whose brokers ${nodes.join(', ')} are killed as it asks`, test =>
      killAsCommitIsAsked(test, nodes));
  }
});
