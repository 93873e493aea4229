import { MillraceError } from '../../core/errors.ts';
import type { Step } from '../../core/operation.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { targetOf } from '../engine/targets.ts';

/** Deploy/<env>/DataPipeline/CassandraDbUpdate. */
export const cassandraDbUpdate: Operation = {
  folder: 'Deploy',
  name: 'CassandraDbUpdate',
  title: 'Migrate the tables',
  does: 'Applies the numbered schema changes that the tables lack, each whole or not at all.',
  needs: [
    'Build/Analytics',
    'Build/ApiModule',
    'Build/DataPipeline',
    'Build/ETLJobs',
    'Build/Secor',
    'Provision/Cassandra',
    'Provision/Postgres',
  ],
  parameters: DEPLOY_PARAMETERS,
  target: config =>
    config['tables.adapter'] === 'sqlite' ? 'embedded' : targetOf(config['postgres.target']),
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-CassandraDbUpdate',
      component: 'schema of the tables',
      artifacts: ['ApiModule'],
      steps: migrationSteps,
      verify,
    }),
  },
};

async function migrationSteps({ site }: Scope): Promise<readonly Step[]> {
  const { applied, known } = await site.migrations();
  if (applied.length > known.length) {
    const why = `the tables are at schema change ${applied.length}, this version knows ${known.length}`;
    throw new MillraceError('ERR_DATA_FORMAT', why);
  }
  return known.slice(applied.length).map(name => ({
    step: `migration-${name.slice(0, 4)}`,
    what: `migrate ${name}`,
    before: null,
    after: 'applied',
    apply: () => site.applyMigrations(name),
  }));
}

/** The ledger must name every migration, and the database must take a row. */
async function verify({ site }: Scope) {
  const { applied, known } = await site.migrations();
  expectThat(applied.join() === known.join(), `the ledger has ${applied.length} of ${known.length} changes`);
  return { migrations: applied.length, ...(await site.probe('database')) };
}
