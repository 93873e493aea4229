import { embeddedUnit } from '../engine/embedded-unit.ts';
import { externalUnit } from '../engine/external-unit.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';
import { postgresTarget } from '../engine/targets.ts';
import { serverUnit } from './server-unit.ts';

/** Provision/<env>/DataPipeline/Postgres. */
export const postgres: Operation = {
  folder: 'Provision',
  name: 'Postgres',
  title: 'Provide the relational store',
  does: 'Creates the database of the tables; the tables are the migrations of CassandraDbUpdate.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: postgresTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Postgres',
      component: 'SQLite in a file of this machine',
      steps: async ({ site }) =>
        (await site.host.stat(site.paths.tablesFile)) !== undefined
          ? []
          : [
              {
                step: 'database',
                what: `create ${site.paths.tablesFile}`,
                before: null,
                after: 'empty',
                apply: () => site.createDatabase(),
              },
            ],
      files: paths => [paths.tablesFile, `${paths.tablesFile}-wal`, `${paths.tablesFile}-shm`],
      holds: ({ site }) => site.holds('database'),
      verify: ({ site }) => site.probe('database'),
    }),
    host: serverUnit('postgres'),
    external: externalUnit({
      record: 'Provision-Postgres',
      component: 'tables in a PostgreSQL of others',
      server: 'postgres',
      sections: ['postgres'],
    }),
  },
};
