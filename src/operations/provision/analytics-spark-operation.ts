import { embeddedUnit } from '../engine/embedded-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/AnalyticsSpark. */
export const analyticsSpark: Operation = {
  folder: 'Provision',
  name: 'AnalyticsSpark',
  title: 'Prepare the batch engine',
  does: 'Makes sure that SQL over what the pipeline stored runs apart from it.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-AnalyticsSpark',
      component: 'SQL in a process of its own',
      sections: ['query'],
      standIn:
        'read-only SQL over the tables in a process of its own, with a deadline; no engine for large batches',
      missing: () => ['batch engine'],
      holds: async () => null,
      verify: ({ site }) => site.probe('query'),
    }),
  },
};
