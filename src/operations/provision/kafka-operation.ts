import { embeddedUnit } from '../engine/embedded-unit.ts';
import { externalUnit } from '../engine/external-unit.ts';
import { joinUnits, type Operation } from '../engine/operation.ts';
import { REMOTE_PARAMETERS } from '../engine/parameters.ts';
import { kafkaTarget } from '../engine/targets.ts';
import { serverUnit } from './server-unit.ts';

/** Provision/<env>/DataPipeline/Kafka. */
export const kafka: Operation = {
  folder: 'Provision',
  name: 'Kafka',
  title: 'Provide the log',
  does: 'Creates the durable log of all topics and proves that what is written is read back.',
  needs: ['OpsAdministration/Bootstrap', 'Provision/Zookeeper'],
  parameters: REMOTE_PARAMETERS,
  target: kafkaTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Kafka',
      component: 'log in files of this machine',
      folders: paths => [paths.log],
      holds: ({ site }) => site.holds('log'),
      verify: ({ site }) => site.probe('log'),
    }),
    host: serverUnit('kafka-client', 'kafka'),
    external: joinUnits(
      serverUnit('kafka-client'),
      externalUnit({
        record: 'Provision-Kafka',
        component: 'log on brokers of others',
        server: 'kafka',
        sections: ['kafka'],
      }),
    ),
  },
};
