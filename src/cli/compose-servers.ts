import { join, resolve } from 'node:path';
import { ChildSupervisor } from '../adapters/host/child-supervisor.ts';
import { createLocalHost } from '../adapters/host/local-host.ts';
import { cacheDirectory } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { hostVariables } from '../config/variables.ts';
import type { Host } from '../core/host.ts';
import {
  bringUpServers,
  planServers,
  type ServersContext,
  stopServers,
} from '../operations/provision/servers.ts';

/**
 * This machine as the host of an environment's servers. They are children of this process: who starts them stops
 * them; those that outlived a kill are found again by what `<root>/processes` says.
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

/** How they are brought up. */
export interface ServersStart extends ServersSettings {
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The servers of an environment that runs. */
export interface HostServers {
  /** The configuration with where they are, who asks them, and references to secrets. */
  readonly config: Config;
  /** Stops them in reverse order, within 15 s. */
  stop(): Promise<void>;
}

/**
 * Starts the servers that the configuration puts on this machine (`….target: host`), and verifies them; none is
 * fine. The caller owns the environment. Where one fails, those that were started are stopped again.
 */
export async function openServers(settings: ServersStart): Promise<HostServers> {
  const { config, print } = settings;
  const context = { ...contextOf(settings, line => print(`servers ${line}`)), signal: settings.signal };
  const running = await bringUpServers(context);
  return {
    config: { ...config, ...running.bindings },
    stop: () => stopServers(context.host, running.servers),
  };
}

/** The configuration with where the servers on this machine are, whoever started them. Changes nothing. */
export async function locateServers(settings: ServersSettings): Promise<Config> {
  const plans = await planServers(contextOf(settings, () => {}));
  return Object.assign({ ...settings.config }, ...plans.map(({ server }) => server.bindings));
}

function contextOf(settings: ServersSettings, progress: (line: string) => void): ServersContext {
  const { config, environment } = settings;
  const dataDirectory = resolve(settings.dataDirectory);
  const host = composeHost(join(dataDirectory, environment));
  return { host, config, environment, dataDirectory, cacheDirectory: cacheDirectory(), progress };
}
