import { isObject } from '../../core/event.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import type { Trial } from '../engine/site.ts';

/** Deploy/<env>/DataPipeline/KafkaIndexer. */
export const kafkaIndexer: Operation = {
  folder: 'Deploy',
  name: 'KafkaIndexer',
  title: 'Deploy the indexer',
  does: 'Deploys what makes events and rejections searchable and sees one of each found.',
  needs: [
    ...BUILDS,
    'Provision/Influxdb',
    'Provision/Postgres',
    'Deploy/CassandraDbUpdate',
    'Deploy/KafkaSetup',
  ],
  parameters: DEPLOY_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-KafkaIndexer',
      component: 'tables and search in the serving process',
      sections: ['tables'],
      artifacts: ['ApiModule', 'DataPipeline'],
      tried,
    }),
  },
};

async function tried({ config }: Scope, trial: Trial) {
  if (!config['tables.enabled']) return { enabled: false };
  const { mids, badMid } = await trial.sample();
  await trial.untilIdle();
  for (const mid of mids) {
    const found = await rowsOf(trial.ask(`/v1/events?mid=${encodeURIComponent(mid)}&outcome=emit`));
    expectThat(found === 1, `search found event ${mid} ${found} times`);
  }
  const rejected = await rowsOf(trial.ask(`/v1/events?mid=${encodeURIComponent(badMid)}&outcome=reject`));
  expectThat(rejected === 1, `search found the rejected event ${rejected} times`);
  return { found: mids.length, rejected };
}

async function rowsOf(answer: Promise<{ readonly body: unknown }>): Promise<number> {
  const { body } = await answer;
  return isObject(body) && Array.isArray(body['events']) ? body['events'].length : 0;
}
