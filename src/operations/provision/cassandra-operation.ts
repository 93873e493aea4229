import { embeddedUnit } from '../engine/embedded-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/Cassandra. */
export const cassandra: Operation = {
  folder: 'Provision',
  name: 'Cassandra',
  title: 'Provide the wide store',
  does: 'Makes sure of the store of assessments and activity, which the original keeps in Cassandra.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Cassandra',
      component: 'tables of the relational store',
      standIn: 'the relational store: what the original keeps in Cassandra is a table there',
      missing: () => ['assessment and activity tables'],
      holds: async () => null,
      verify: ({ site }) => site.probe('tables'),
    }),
  },
};
