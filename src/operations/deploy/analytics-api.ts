import { isObject, type Json } from '../../core/event.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import type { Trial } from '../engine/site.ts';

/** Deploy/<env>/DataPipeline/AnalyticsApi. */
export const deployAnalyticsApi: Operation = {
  folder: 'Deploy',
  name: 'AnalyticsApi',
  title: 'Deploy the API',
  does: 'Deploys the API of the release and sees it take in, answer and refuse.',
  needs: [
    ...BUILDS,
    'Provision/AnalyticsApi',
    'Provision/Postgres',
    'Provision/Redis',
    'Deploy/CassandraDbUpdate',
    'Deploy/KafkaSetup',
  ],
  parameters: DEPLOY_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-AnalyticsApi',
      component: 'API in the serving process',
      sections: ['http', 'ingest', 'query'],
      artifacts: ['Analytics', 'ApiModule'],
      tried,
    }),
  },
};

async function tried({ config }: Scope, trial: Trial) {
  const health = await trial.ask('/health');
  expectThat(health.status === 200, `GET /health answered ${health.status}`);
  const { mids } = await trial.sample();
  await trial.untilIdle();
  if (config['tables.enabled']) {
    const sql = `SELECT count(DISTINCT mid) AS events FROM events WHERE mid IN ('${mids.join("', '")}')`;
    const { body } = await trial.ask('/v1/query', { method: 'POST', body: JSON.stringify({ sql }) });
    const events = eventsOf(body);
    expectThat(events === mids.length, `POST /v1/query found ${String(events)} of ${mids.length} events`);
  }
  const nothing = await trial.ask('/v1/no-such-route');
  expectThat(nothing.status === 404, `an unknown path answered ${nothing.status}`);
  return { health: health.status, accepted: mids.length };
}

function eventsOf(body: unknown): Json | undefined {
  const rows = isObject(body) ? body['rows'] : undefined;
  const row = Array.isArray(rows) ? rows[0] : undefined;
  return isObject(row) ? row['events'] : undefined;
}
