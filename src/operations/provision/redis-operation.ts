import { embeddedUnit } from '../engine/embedded-unit.ts';
import { externalUnit } from '../engine/external-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';
import { redisTarget } from '../engine/targets.ts';
import { serverUnit } from './server-unit.ts';

/** Provision/<env>/DataPipeline/Redis. */
export const redis: Operation = {
  folder: 'Provision',
  name: 'Redis',
  aliases: ['RedisCluster'],
  title: 'Provide state and cache',
  does: 'Creates the stores of first sightings and of master data.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: redisTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Redis',
      component: 'first sightings in memory and files, master data in SQLite',
      folders: paths => [paths.state],
      files: paths => [paths.cacheFile, `${paths.cacheFile}-wal`, `${paths.cacheFile}-shm`],
      async holds({ site }) {
        // First sightings follow from the log: without it they say nothing.
        const held = [await site.holds('cache'), await site.holds('log')].filter(text => text !== null);
        return held.length === 0 ? null : held.join(' and ');
      },
      async verify({ site }) {
        return { state: await site.probe('state'), cache: await site.probe('cache') };
      },
    }),
    host: serverUnit('redis'),
    external: externalUnit({
      record: 'Provision-Redis',
      component: 'first sightings and master data on a Redis of others',
      server: 'redis',
      sections: ['state', 'cache', 'redis'],
    }),
  },
};
