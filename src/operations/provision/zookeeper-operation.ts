import { embeddedUnit } from '../engine/embedded-unit.ts';
import { externalUnit } from '../engine/external-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { REMOTE_PARAMETERS } from '../engine/parameters.ts';
import { zookeeperTarget } from '../engine/targets.ts';
import { serverUnit } from './server-unit.ts';

/** Provision/<env>/DataPipeline/Zookeeper. */
export const zookeeper: Operation = {
  folder: 'Provision',
  name: 'Zookeeper',
  title: 'Provide coordination',
  does: 'Makes sure that an environment has one owner at a time.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: REMOTE_PARAMETERS,
  target: zookeeperTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Zookeeper',
      component: 'the owner lock of the environment',
      standIn: 'a lock on the data directory that the kernel releases when its holder dies',
      holds: async () => null,
      verify: ({ site }) => site.probe('ownership'),
    }),
    host: serverUnit('zookeeper'),
    // No client of ours speaks to it: brokers that have lost it answer for no topic.
    external: externalUnit({
      record: 'Provision-Zookeeper',
      component: 'the ZooKeeper of brokers of others, seen through them',
      server: 'kafka',
      sections: ['kafka'],
    }),
  },
};
