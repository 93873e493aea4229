import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/Influxdb. */
export const influxdb: Operation = {
  folder: 'Provision',
  name: 'Influxdb',
  title: 'Provide the metrics',
  does: 'Makes sure that the metrics can be scraped.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-Influxdb',
      component: 'metrics at /metrics',
      standIn: 'counters at /metrics in the text form of Prometheus; no series are kept',
      missing: () => ['metric series'],
      holds: async () => null,
      async tried(_scope, trial) {
        const { status, body } = await trial.ask('/metrics');
        const samples = String(body).match(/^millrace_\w+/gm)?.length ?? 0;
        expectThat(status === 200 && samples > 0, `/metrics answered ${status} with ${samples} samples`);
        return { samples };
      },
    }),
  },
};
