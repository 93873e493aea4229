import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { FileState } from '../../core/host.ts';
import type { Step } from '../../core/operation.ts';
import { expectThat } from '../engine/expect.ts';
import { defineUnit, type Operation, type Scope } from '../engine/operation.ts';
import { BOOTSTRAP_PARAMETERS } from '../engine/parameters.ts';
import { observeParts, planParts } from '../provision/part.ts';
import { portsPart } from '../provision/servers.ts';

interface Observed {
  readonly stamp: string | null;
  readonly data: FileState | undefined;
  readonly token: FileState | undefined;
  /** Remembers the ports of servers here, where there are any. */
  readonly ports: readonly Step[];
}

const DATA_MODE = 0o711;
const TOKEN_MODE = 0o600;

const embedded = defineUnit<Observed>({
  async observe(scope) {
    const { host, paths } = scope.site;
    const stamp = await host.read(join(paths.data, 'format.json'));
    return {
      stamp: stamp === undefined ? null : Buffer.from(stamp).toString('utf8'),
      data: await host.stat(paths.data),
      token: await host.stat(paths.tokenFile),
      ports: await portSteps(scope),
    };
  },
  exists: ({ stamp, token }) => stamp !== null || token !== undefined,
  plan: (observed, scope) => [
    ...dataSteps(observed, scope),
    ...tokenSteps(observed, scope),
    ...observed.ports,
  ],
  report: ({ data }) => ({ owner: data?.owner ?? null }),
  verify,
  undo: async ({ token }, { site: { host, paths } }) =>
    token === undefined
      ? []
      : [
          {
            step: 'token',
            what: `remove ${paths.tokenFile}`,
            before: 'there',
            after: null,
            apply: () => host.remove(paths.tokenFile),
          },
        ],
  standIn: 'the user who runs it: nothing is installed and no login is needed on this machine',
});

/** Remembered before any server is set up: what is free then is not once they listen. */
async function portSteps({ config, environment, site }: Scope): Promise<readonly Step[]> {
  const { root, cache } = site.paths;
  const part = await portsPart({ host: site.host, config, environment, root, cache });
  if (part === undefined) return [];
  return planParts([part], await observeParts(site.host, [part]));
}

function dataSteps({ stamp, data }: Observed, { site }: Scope): readonly Step[] {
  const file = join(site.paths.data, 'format.json');
  if (stamp !== null && stamp !== site.formatStamp) {
    throw new MillraceError('ERR_DATA_FORMAT', `${file} says ${stamp.trim()}`);
  }
  if (stamp !== null && data?.mode === DATA_MODE) return [];
  return [
    {
      step: 'data-directory',
      what: stamp === null ? `claim ${site.paths.data}` : `give ${site.paths.data} back its rights`,
      before: stamp === null ? null : `0${(data?.mode ?? 0).toString(8)}`,
      after: '0711',
      async apply({ host }) {
        await host.makeFolder(site.paths.data, { mode: DATA_MODE });
        if (stamp === null) await host.put(file, site.formatStamp, { mode: 0o600 });
      },
    },
  ];
}

function tokenSteps({ token }: Observed, { site }: Scope): readonly Step[] {
  const isThere = token !== undefined && token.sizeBytes > 1;
  if (isThere && token.mode === TOKEN_MODE) return [];
  return [
    {
      step: 'token',
      what: isThere ? 'give the operator token back its rights' : 'draw the operator token',
      before: isThere ? `0${token.mode.toString(8)}` : null,
      after: '(secret), 0600',
      async apply({ host }) {
        const old = isThere ? await host.read(site.paths.tokenFile) : undefined;
        await host.makeFolder(site.paths.root, { mode: 0o700 });
        await host.put(site.paths.tokenFile, old ?? `${site.drawSecret()}\n`, { mode: TOKEN_MODE });
      },
    },
  ];
}

/** Does as the user what every later operation does: write, read, remove. */
async function verify({ site: { host, paths } }: Scope) {
  const file = join(paths.operations, 'bootstrap-probe');
  await host.put(file, 'probe', { mode: 0o600 });
  const read = await host.read(file);
  await host.remove(file);
  const isSame = read !== undefined && Buffer.from(read).toString('utf8') === 'probe';
  expectThat(isSame, `what is written to ${paths.operations} is not read back`);
  const { user, isRoot, freeBytes } = await host.facts();
  return { user, isRoot, freeBytes };
}

/** OpsAdministration/<env>/DataPipeline/Bootstrap. */
export const bootstrap: Operation = {
  folder: 'OpsAdministration',
  name: 'Bootstrap',
  title: 'Prepare the machine',
  does: 'Claims the data directory, sets its rights and draws the operator token.',
  needs: [],
  parameters: BOOTSTRAP_PARAMETERS,
  target: () => 'embedded',
  units: { embedded },
};
