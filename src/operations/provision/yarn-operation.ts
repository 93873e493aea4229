import { embeddedUnit } from '../engine/embedded-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/Yarn. */
export const yarn: Operation = {
  folder: 'Provision',
  name: 'Yarn',
  title: 'Prepare where the stream jobs run',
  does: 'Makes sure of threads for the stream jobs and the sinks.',
  needs: ['OpsAdministration/Bootstrap', 'Provision/Zookeeper'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Yarn',
      component: 'threads of the serving process',
      standIn: 'threads of the serving process: one for the jobs, one for the sinks',
      holds: async () => null,
      verify: ({ site }) => site.probe('threads'),
    }),
  },
};
