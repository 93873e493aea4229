import { isObject } from '../../core/event.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import type { Trial } from '../engine/site.ts';

/** Deploy/<env>/DataPipeline/Secor. */
export const secor: Operation = {
  folder: 'Deploy',
  name: 'Secor',
  title: 'Deploy the archiver',
  does: 'Deploys the archiver and sees records reach an object, whole and once.',
  needs: [...BUILDS, 'Provision/AnalyticsSecor', 'Deploy/KafkaSetup'],
  parameters: DEPLOY_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-Secor',
      component: 'archiver in the serving process',
      sections: ['archive'],
      artifacts: ['Secor'],
      tried,
    }),
  },
};

/** Flushes, proves the coverage, and finds each event of the sample in exactly one line of the objects. */
async function tried({ config }: Scope, trial: Trial) {
  if (!config['archive.enabled']) return { enabled: false };
  const { mids } = await trial.sample();
  await trial.untilIdle();
  const flush = await trial.ask('/v1/archive/flush', { method: 'POST' });
  expectThat(flush.status === 200, `the flush answered ${flush.status}`);
  const verified = await trial.ask('/v1/archive/verify');
  expectThat(
    isObject(verified.body) && verified.body['ok'] === true,
    'the archive does not prove its coverage',
  );
  const { body } = await trial.ask('/v1/archive/objects');
  const objects = isObject(body) && Array.isArray(body['objects']) ? body['objects'] : [];
  const names = objects.flatMap(object => (isObject(object) ? [String(object['object'])] : []));
  let text = '';
  for (const name of names.filter(name => name.includes('druid.events.'))) {
    const { body: lines } = await trial.ask(`/v1/archive/object?name=${encodeURIComponent(name)}`);
    text += String(lines);
  }
  for (const mid of mids) {
    const count = text.split(`"${mid}"`).length - 1;
    expectThat(count === 1, `the archive holds event ${mid} ${count} times`);
  }
  return { objects: names.length, events: mids.length };
}
