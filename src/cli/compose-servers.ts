import { join, resolve } from 'node:path';
import { ChildSupervisor } from '../adapters/host/child-supervisor.ts';
import { createLocalHost } from '../adapters/host/local-host.ts';
import { cacheDirectory } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { hostVariables } from '../config/variables.ts';
import { MillraceError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import type { Server } from '../operations/provision/server.ts';
import { describeServers, type ServersContext, stopServers } from '../operations/provision/servers.ts';

/**
 * This machine as the host of an environment's servers. They outlive this process where nobody stops them, and are
 * found again by what `<root>/processes` says.
 * @param root  `<data>/<environment>`, absolute
 */
export function composeHost(root: string): Host {
  const env = hostVariables();
  const directory = join(root, 'processes');
  return createLocalHost({
    directory: root,
    env,
    supervise: users => new ChildSupervisor({ directory, env, users }),
  });
}

/** Whose servers they are. */
export interface ServersSettings {
  readonly config: Config;
  readonly environment: string;
  readonly dataDirectory: string;
}

/**
 * The configuration with where the servers on this machine are, who asks them and references to secrets; whether
 * they run is not looked at. Changes nothing.
 */
export async function locateServers(settings: ServersSettings): Promise<Config> {
  return boundTo(await describeServers(contextOf(settings)), settings.config);
}

/**
 * As {@link locateServers}, for who is to log in now: throws ERR_NOT_READY where a password was not drawn yet.
 * @param only  the server to log in to; absent: all of them
 */
export async function locateStarted(settings: ServersSettings, only?: string): Promise<Config> {
  const context = contextOf(settings);
  const servers = await describeServers(context);
  for (const { name, secrets } of servers) {
    if (only !== undefined && name !== only) continue;
    for (const { file, isServedWith } of secrets) {
      if (!isServedWith || (await context.host.stat(file)) !== undefined) continue;
      throw new MillraceError(
        'ERR_NOT_READY',
        `${name} was not started with a password yet: ${file} is not there`,
        {
          remedy: `millrace up --env ${settings.environment} draws it and starts ${name} with it.`,
        },
      );
    }
  }
  return boundTo(servers, settings.config);
}

function boundTo(servers: readonly Server[], config: Config): Config {
  return Object.assign({ ...config }, ...servers.map(({ bindings }) => bindings));
}

/** Processes of an environment's servers, by name, with the pid of each that runs. */
export type RunningProcesses = ReadonlyMap<string, number>;

/** The processes of an environment's servers on this machine that run now, whoever started them. */
export async function runningServers(settings: ServersSettings): Promise<RunningProcesses> {
  const context = contextOf(settings);
  const running = new Map<string, number>();
  for (const { processes } of await describeServers(context)) {
    for (const name of processes) {
      const { state, pid } = await context.host.process(name);
      if (state === 'running' && pid !== null) running.set(name, pid);
    }
  }
  return running;
}

/** Cuts what an environment's servers wrote and has grown past its cap, whoever started them. */
export async function trimServerLogs(settings: ServersSettings): Promise<void> {
  await contextOf(settings).host.trimLogs();
}

/** How a server stands: `stopped` on purpose, or never started; `ended` by itself. */
export interface ServerStanding {
  readonly state: 'running' | 'stopped' | 'ended';
  /** How it ended. */
  readonly detail: string;
}

/** How each of an environment's servers stands, by name: as the worst of its processes does. */
export async function standingServers(
  settings: ServersSettings,
): Promise<ReadonlyMap<string, ServerStanding>> {
  const context = contextOf(settings);
  const standings = new Map<string, ServerStanding>();
  for (const { name, processes } of await describeServers(context)) {
    if (processes.length === 0) continue;
    const states = await Promise.all(processes.map(process => context.host.process(process)));
    const ended = states.find(({ state }) => state === 'failed');
    const isRunning = states.every(({ state }) => state === 'running');
    standings.set(name, {
      state: ended !== undefined ? 'ended' : isRunning ? 'running' : 'stopped',
      detail: ended === undefined ? '' : `${ended.name}: ${ended.detail}`,
    });
  }
  return standings;
}

/**
 * Stops an environment's servers on this machine, those that need others first, within 15 s; resolves with the names
 * of the processes that ran. `isMeant` leaves some as they are.
 */
export async function stopEnvironmentServers(
  settings: ServersSettings,
  isMeant: (name: string) => boolean = () => true,
): Promise<readonly string[]> {
  const context = contextOf(settings);
  const running = await runningServers(settings);
  const servers = (await describeServers(context)).map(({ processes }) => ({
    processes: processes.filter(isMeant),
  }));
  await stopServers(context.host, servers);
  return servers.flatMap(({ processes }) => processes).filter(name => running.has(name));
}

function contextOf({ config, environment, dataDirectory }: ServersSettings): ServersContext {
  const root = join(resolve(dataDirectory), environment);
  return { host: composeHost(root), config, environment, root, cache: cacheDirectory() };
}
