import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/event.ts';
import type { Host } from '../../core/host.ts';
import type { Change, Step } from '../../core/operation.ts';
import { defineUnit, type Scope, type Unit } from '../engine/operation.ts';
import { observeParts, planParts } from './part.ts';
import type { Server } from './server.ts';
import { describeServers } from './servers.ts';

/** One look at a server. */
interface SeenServer {
  readonly server: Server;
  readonly changes: readonly Change[];
  /** What of its own folder is there, by name. */
  readonly files: readonly string[];
  /** The files of its secrets that are there. */
  readonly secretFiles: readonly string[];
  /** Its processes by name: `running, pid 7`, `stopped`. */
  readonly states: JsonObject;
  /** Its processes that run, or ended by themselves: what there is to stop. */
  readonly processes: readonly string[];
}

/**
 * The unit of an operation on target `host`: servers by name, as far as the configuration wants them. Its steps are
 * what their parts lack. Undo stops their processes and removes their folders; data, and the secrets that open
 * them, stay unless the scope says otherwise.
 */
export function serverUnit(...names: readonly Server['name'][]): Unit {
  return defineUnit<readonly SeenServer[]>({
    observe: async scope => {
      const seen: SeenServer[] = [];
      for (const server of await serversOf(scope, names)) seen.push(await look(server, scope.site.host));
      return seen;
    },
    exists: seen => seen.some(({ files, processes }) => files.length > 0 || processes.length > 0),
    plan: seen => seen.flatMap(({ server, changes }) => planParts(server.parts, changes)),
    report: seen => Object.assign({}, ...seen.map(({ states }) => states)),
    processes: seen => seen.flatMap(({ server }) => server.processes),
    async verify(scope) {
      const answers: [string, string][] = [];
      for (const server of await serversOf(scope, names)) {
        answers.push([server.name, await server.verify(scope.site.host)]);
      }
      return Object.fromEntries(answers);
    },
    restart: (seen, { site }, isRolling) => seen.flatMap(one => restartSteps(one, site.host, isRolling)),
    undo: async (seen, { site, removesData }) =>
      seen.toReversed().flatMap(one => undoSteps(one, site.host, removesData)),
  });
}

/**
 * How a server of this machine stands: whether it can be asked, and whether it ever held anything. One that runs and
 * does not answer us is closed as one that is stopped: a run that was cut off may have started it and no more.
 */
export async function standingOf(scope: Scope, name: Server['name']): Promise<'open' | 'closed' | 'absent'> {
  const { host } = scope.site;
  const [server] = await serversOf(scope, [name]);
  if (server === undefined) return 'absent';
  if (await answers(host, server)) return 'open';
  for (const folder of server.data) if ((await host.stat(folder)) !== undefined) return 'closed';
  return 'absent';
}

async function answers(host: Host, server: Server): Promise<boolean> {
  for (const process of server.processes) {
    if ((await host.process(process)).state !== 'running') return false;
  }
  return server.verify(host, 0).then(
    () => true,
    error => {
      if (error instanceof MillraceError) return false;
      throw error;
    },
  );
}

async function serversOf(scope: Scope, names: readonly Server['name'][]): Promise<readonly Server[]> {
  const { config, environment, site } = scope;
  const { root, cache } = site.paths;
  const servers = await describeServers({ host: site.host, config, environment, root, cache });
  return servers.filter(({ name }) => names.includes(name));
}

async function look(server: Server, host: Host): Promise<SeenServer> {
  const states: [string, string][] = [];
  const processes: string[] = [];
  for (const name of server.processes) {
    const { state, pid } = await host.process(name);
    states.push([name, pid === null ? state : `${state}, pid ${pid}`]);
    if (state !== 'stopped') processes.push(name);
  }
  const secretFiles: string[] = [];
  for (const { file, made, nextFile } of server.secrets) {
    for (const path of [file, ...made, ...(nextFile === undefined ? [] : [nextFile])]) {
      const isListed = secretFiles.includes(path);
      if (!isListed && (await host.stat(path)) !== undefined) secretFiles.push(path);
    }
  }
  return {
    server,
    secretFiles,
    changes: await observeParts(host, server.parts),
    files: server.folder === null ? [] : await host.list(server.folder),
    states: Object.fromEntries(states),
    processes,
  };
}

/** What its parts lack, and in place of what would start it what stops it before. */
function restartSteps(
  { server, changes, states }: SeenServer,
  host: Host,
  isRolling: boolean,
): readonly Step[] {
  const { parts, processes } = server;
  if (processes.length === 0) return [];
  const waves = isRolling ? processes.map(name => [name]) : [processes];
  return parts.flatMap(part => {
    if (part.restart === undefined) return planParts([part], changes);
    const step: Step = {
      step: 'restart',
      what: `restart ${processes.join(', ')}${isRolling ? ', one at a time' : ''}`,
      before: Object.values(states).join('\n'),
      after: 'running',
      async apply(context) {
        for (const names of waves) {
          await part.restart?.(context, names);
          // Healthy as a whole before the next one goes.
          if (isRolling) await server.verify(host);
        }
      },
    };
    return [step];
  });
}

/** Stops first, all of a server together: brokers one after another wait for a majority that has left. */
function undoSteps(
  { server, files, secretFiles, processes }: SeenServer,
  host: Host,
  removesData: boolean,
): readonly Step[] {
  const { folder, data, name } = server;
  if (folder === null) return [];
  const left = files.map(file => join(folder, file)).filter(path => removesData || !data.includes(path));
  const removed = left.length === files.length && files.length > 0 ? [folder] : left;
  return [
    ...(processes.length === 0 ? [] : [stopStep(processes, host)]),
    ...removed.map(path => removeStep(path, host)),
    ...(removesData && files.length > 0 ? secretFiles.map(path => removeStep(path, host)) : []),
  ].map(step => ({ ...step, step: `${name}-${step.step}` }));
}

function stopStep(processes: readonly string[], host: Host): Step {
  return {
    step: 'stop',
    what: `stop ${processes.join(', ')}`,
    before: 'running',
    after: null,
    apply: async () => void (await Promise.all(processes.map(process => host.stop(process)))),
  };
}

function removeStep(path: string, host: Host): Step {
  return {
    step: 'remove',
    what: `remove ${path}`,
    before: 'there',
    after: null,
    apply: () => host.remove(path),
  };
}
