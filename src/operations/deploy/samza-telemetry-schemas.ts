import { MillraceError } from '../../core/errors.ts';
import { isObject } from '../../core/event.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { restartCommand } from '../engine/other-release.ts';
import { SCHEMA_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import type { Trial } from '../engine/site.ts';

/** Deploy/<env>/DataPipeline/SamzaTelemetrySchemas. */
export const samzaTelemetrySchemas: Operation = {
  folder: 'Deploy',
  name: 'SamzaTelemetrySchemas',
  aliases: ['SamzaTelemertySchemas'],
  title: 'Publish the event schemas',
  does: 'Publishes the schemas of the release and reads their digest back from every worker.',
  needs: [...BUILDS, 'OpsAdministration/Bootstrap'],
  parameters: SCHEMA_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-SamzaTelemetrySchemas',
      component: 'event schemas',
      facts: ({ release }) => ({ schemas: release.schemasDigest }),
      artifacts: ['DataPipeline'],
      verify,
      tried,
    }),
  },
};

/**
 * Each worker of the serving process has loaded these schemas, with those that the operator published in their place;
 * else it must be restarted.
 */
async function verify({ site, release, environment }: Scope) {
  const served = await site.served();
  const old = served?.workers.filter(worker => worker.schemasDigest !== served.schemas.digest) ?? [];
  if (served !== null && (old.length > 0 || served.schemas.shippedDigest !== release.schemasDigest)) {
    throw new MillraceError('ERR_VERIFY_FAILED', 'the serving process has loaded other schemas', {
      remedy: `Restart it: ${restartCommand(environment)}`,
    });
  }
  return { schemas: release.schemasDigest, served: served?.workers.length ?? 0 };
}

/** So has each worker of a process that is started now. */
async function tried({ release }: Scope, trial: Trial) {
  const { body } = await trial.ask('/v1/status');
  const workers = isObject(body) && Array.isArray(body['workers']) ? body['workers'] : [];
  const digests = workers.flatMap(worker => (isObject(worker) ? [String(worker['schemasDigest'])] : []));
  expectThat(digests.length > 0, 'no worker says which schemas it has loaded');
  const other = digests.find(digest => digest !== release.schemasDigest);
  expectThat(other === undefined, `a worker has schemas ${other}, not ${release.schemasDigest}`);
  return { workers: digests.length };
}
