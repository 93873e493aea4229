import { MillraceError } from '../../core/errors.ts';
import type { Step } from '../../core/operation.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope, Unit } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import { postgresTarget } from '../engine/targets.ts';
import { standingOf } from '../provision/server-unit.ts';

/** Deploy/<env>/DataPipeline/CassandraDbUpdate. */
export const cassandraDbUpdate: Operation = {
  folder: 'Deploy',
  name: 'CassandraDbUpdate',
  title: 'Migrate the tables',
  does: 'Applies the numbered schema changes that the tables lack, each whole or not at all.',
  needs: [...BUILDS, 'Provision/Cassandra', 'Provision/Postgres'],
  parameters: DEPLOY_PARAMETERS,
  target: postgresTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-CassandraDbUpdate',
      component: 'schema of the tables',
      artifacts: ['ApiModule'],
      steps: migrationSteps,
      verify,
    }),
    host: serverTables(async (scope, isRecorded) => {
      const standing = await standingOf(scope, 'postgres');
      if (standing === 'open') return migrationSteps(scope);
      if (standing === 'absent') return planMigrations(scope, []);
      return isRecorded ? [] : [unseenStep(scope)];
    }),
    external: serverTables(migrationSteps),
  },
};

function serverTables(steps: (scope: Scope, isRecorded: boolean) => Promise<readonly Step[]>): Unit {
  return embeddedUnit({
    record: 'Deploy-CassandraDbUpdate',
    component: 'schema of the tables',
    sections: ['postgres'],
    artifacts: ['ApiModule'],
    steps,
    async verify({ site }) {
      const { applied, known } = await site.migrations();
      expectLedger(applied, known);
      return { migrations: applied.length, ...(await site.check('postgres')) };
    },
  });
}

/** Which ones are due is seen once the server answers: another release was set up last, or none to its end. */
function unseenStep({ site }: Scope): Step {
  return {
    step: 'migrations',
    what: 'apply the schema changes that the tables lack',
    before: 'unknown: the server does not answer',
    after: `${site.knownMigrations().length} applied`,
    apply: async () => {
      const last = site.knownMigrations().at(-1);
      if (last !== undefined) await site.applyMigrations(last);
    },
  };
}

async function migrationSteps(scope: Scope): Promise<readonly Step[]> {
  return planMigrations(scope, (await scope.site.migrations()).applied);
}

function planMigrations({ site }: Scope, applied: readonly string[]): readonly Step[] {
  const known = site.knownMigrations();
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
  expectLedger(applied, known);
  return { migrations: applied.length, ...(await site.probe('database')) };
}

function expectLedger(applied: readonly string[], known: readonly string[]): void {
  expectThat(applied.join() === known.join(), `the ledger has ${applied.length} of ${known.length} changes`);
}
