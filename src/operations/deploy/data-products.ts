import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';

/** Deploy/<env>/DataPipeline/DataProducts. */
export const dataProducts: Operation = {
  folder: 'Deploy',
  name: 'DataProducts',
  title: 'Deploy the data products',
  does: 'Deploys the batch computations over what was archived.',
  needs: [...BUILDS, 'Provision/AnalyticsSpark', 'Deploy/CassandraDbUpdate', 'Deploy/KafkaSetup'],
  parameters: DEPLOY_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-DataProducts',
      component: 'relations that reports read',
      artifacts: ['Analytics'],
      standIn: 'the relations events and summaries, which SQL reads; no data product is in this release',
      missing: () => ['data products'],
      async tried(_scope, trial) {
        const sql = 'SELECT count(*) AS summaries FROM summaries';
        const { status } = await trial.ask('/v1/query', { method: 'POST', body: JSON.stringify({ sql }) });
        expectThat(status === 200, `the relation summaries answered ${status}`);
        return { relations: ['events', 'summaries'] };
      },
    }),
  },
};
