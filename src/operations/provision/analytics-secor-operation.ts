import { embeddedUnit } from '../engine/embedded-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/AnalyticsSecor. */
export const analyticsSecor: Operation = {
  folder: 'Provision',
  name: 'AnalyticsSecor',
  title: 'Prepare the archive',
  does: 'Creates the object store that the archiver writes to and proves write, list and delete.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-AnalyticsSecor',
      component: 'archive in a folder of this machine',
      folders: paths => [paths.archive],
      holds: ({ site }) => site.holds('archive'),
      verify: ({ site }) => site.probe('archive'),
    }),
  },
};
