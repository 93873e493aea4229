import { dirname, join } from 'node:path';
import { isObject, type JsonObject } from '../../core/event.ts';
import { JOB_NAMES } from '../../core/job.ts';
import type { Step } from '../../core/operation.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { YARN_PARAMETERS } from '../engine/parameters.ts';
import { artifactNamed, BUILDS } from '../engine/release.ts';
import type { Trial } from '../engine/site.ts';

/** Deploy/<env>/DataPipeline/Yarn. */
export const deployYarn: Operation = {
  folder: 'Deploy',
  name: 'Yarn',
  title: 'Deploy the stream jobs',
  does: 'Deploys the stream jobs of the release and sees events pass all of them once, and copies dropped.',
  needs: [
    ...BUILDS,
    'Provision/Yarn',
    'Provision/Redis',
    'Deploy/CassandraDbUpdate',
    'Deploy/KafkaSetup',
    'Deploy/SamzaTelemetrySchemas',
  ],
  parameters: YARN_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-Yarn',
      component: 'stream jobs in the serving process',
      sections: ['chain', 'topics'],
      artifacts: ['DataPipeline'],
      steps: jobSteps,
      tried,
    }),
  },
};

/** One step a job, by its exact name: what a job is made of and set to is its own affair. */
async function jobSteps(scope: Scope): Promise<readonly Step[]> {
  const { host, paths } = scope.site;
  const wanted = JOB_NAMES.filter(name => scope.jobs.length === 0 || scope.jobs.includes(name));
  const steps = wanted.map(async (job): Promise<readonly Step[]> => {
    const file = join(paths.operations, 'records', 'jobs', `${job}.json`);
    const bytes = await host.read(file);
    const found = bytes === undefined ? null : Buffer.from(bytes).toString('utf8');
    const text = `${JSON.stringify(recordOf(job, scope))}\n`;
    if (found === text) return [];
    return [
      {
        step: `job-${job}`,
        what: `deploy the job ${job}`,
        before: found === null ? null : 'an earlier version',
        after: `release ${scope.release.id}`,
        async apply() {
          await host.makeFolder(dirname(file), { mode: 0o700 });
          await host.put(file, text, { mode: 0o600 });
        },
      },
    ];
  });
  return (await Promise.all(steps)).flat();
}

function recordOf(job: string, { release, site }: Scope): JsonObject {
  const { files } = artifactNamed(release, 'DataPipeline');
  const source = files.find(({ path }) => path === `src/jobs/${job}.ts`);
  return { job, source: source?.sha256 ?? null, config: site.configDigestOf([job]) };
}

/**
 * Sends a batch twice through a started instance: each good event must have left the last job exactly once, the
 * bad one must have been rejected, and what each job received must be accounted for.
 */
async function tried({ config }: Scope, trial: Trial): Promise<JsonObject> {
  const { mids, badMid } = await trial.sample();
  const status = await trial.untilIdle();
  const rows = Array.isArray(status['conservation']) ? status['conservation'] : [];
  const odd = rows.filter(row => isObject(row) && row['balanced'] !== true);
  expectThat(rows.length > 0 && odd.length === 0, `not balanced: ${JSON.stringify(odd)}`);
  if (!config['tables.enabled']) return { events: mids.length, jobs: rows.length };
  for (const mid of mids) {
    const emitted = await endings(trial.ask(`/v1/trace/${encodeURIComponent(mid)}`), 'emit');
    expectThat(emitted === 1, `event ${mid} left the jobs ${emitted} times`);
  }
  const rejected = await endings(trial.ask(`/v1/trace/${encodeURIComponent(badMid)}`), 'reject');
  expectThat(rejected === 1, `the event without schema was rejected ${rejected} times`);
  return { events: mids.length, rejected, jobs: rows.length };
}

/** How many sightings of a trace ended with an outcome. */
async function endings(answer: Promise<{ readonly body: unknown }>, outcome: string): Promise<number> {
  const { body } = await answer;
  const sightings = isObject(body) && Array.isArray(body['sightings']) ? body['sightings'] : [];
  return sightings.filter(sighting => {
    const stages = isObject(sighting) && Array.isArray(sighting['stages']) ? sighting['stages'] : [];
    const last = stages.at(-1);
    return isObject(last) && last['outcome'] === outcome;
  }).length;
}
