import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Operation } from '../engine/operation.ts';
import { PROVISION_PARAMETERS } from '../engine/parameters.ts';

/** Provision/<env>/DataPipeline/AnalyticsApi. */
export const analyticsApi: Operation = {
  folder: 'Provision',
  name: 'AnalyticsApi',
  title: 'Prepare the API',
  does: 'Makes sure of the Node runtime and builds the console that the API serves.',
  needs: ['OpsAdministration/Bootstrap'],
  parameters: PROVISION_PARAMETERS,
  target: () => 'embedded',
  units: {
    embedded: embeddedUnit({
      record: 'Provision-AnalyticsApi',
      component: 'API and console in this process',
      facts: ({ release }) => ({ node: release.node }),
      steps: async ({ site }) =>
        site.isConsoleBuilt() || !site.canBuildConsole()
          ? []
          : [
              {
                step: 'console',
                what: 'build the console',
                before: null,
                after: 'built from these sources',
                apply: () => site.buildConsole(),
              },
            ],
      missing: ({ site }) => (site.isConsoleBuilt() || site.canBuildConsole() ? [] : ['console']),
      holds: async () => null,
      async verify({ site, release }) {
        // The runtime as a new process finds it, not as this one does.
        const { stdout } = await site.host.exec([process.execPath, '--version'], { timeoutMs: 30_000 });
        expectThat(stdout.trim() === release.node, `Node is ${stdout.trim()}, not ${release.node}`);
        return { node: release.node, console: site.isConsoleBuilt() };
      },
    }),
  },
};
