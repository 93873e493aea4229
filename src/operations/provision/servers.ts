import type { Config } from '../../config/options.ts';
import type { Host } from '../../core/host.ts';
import { kafkaTarget, postgresTarget, redisTarget, zookeeperTarget } from '../engine/targets.ts';
import { kafkaServer } from './kafka.ts';
import { kafkaClient } from './kafka-client.ts';
import type { Part } from './part.ts';
import { choosePorts } from './ports.ts';
import { postgresServer } from './postgres.ts';
import { redisServer } from './redis.ts';
import type { Server, ServerContext } from './server.ts';
import { zookeeperServer } from './zookeeper.ts';

/** What the servers of an environment are described from. */
export interface ServersContext {
  readonly host: Host;
  readonly config: Config;
  readonly environment: string;
  /** `<data>/<environment>`, absolute. */
  readonly root: string;
  /** Absolute; see `cacheDirectory`. */
  readonly cache: string;
}

/** A server by its name, with when it is wanted on the host. */
interface ServerKind {
  readonly name: Server['name'];
  isWanted(config: Config): boolean;
  make(context: ServerContext): Promise<Server>;
}

/** In the order in which they start: whoever needs another one comes after it. */
const KINDS: readonly ServerKind[] = [
  {
    name: 'redis',
    isWanted: config => redisTarget(config) === 'host',
    make: redisServer,
  },
  {
    name: 'postgres',
    isWanted: config => postgresTarget(config) === 'host',
    make: postgresServer,
  },
  {
    name: 'kafka-client',
    isWanted: config => kafkaTarget(config) !== 'embedded',
    make: kafkaClient,
  },
  {
    name: 'zookeeper',
    isWanted: config => zookeeperTarget(config) === 'host',
    make: zookeeperServer,
  },
  { name: 'kafka', isWanted: config => kafkaTarget(config) === 'host', make: kafkaServer },
];

/** All of them together; a server that needs longer is killed, and recovers when it starts. */
const STOP_MS_MAX = 15_000;

/**
 * What the pipeline wants on the host, in the order in which it starts. Reads little and changes nothing; throws
 * ERR_CONFIG_INVALID for a name that cannot be.
 */
export async function describeServers(context: ServersContext): Promise<readonly Server[]> {
  const { host, config, environment, root, cache } = context;
  const wanted = KINDS.filter(({ isWanted }) => isWanted(config));
  if (wanted.length === 0) return [];
  const ports = await choosePorts(host, root, config['host.portBase']);
  const place = { environment, root, cache, ports };
  const servers: Server[] = [];
  for (const { make } of wanted) servers.push(await make({ host, place, config }));
  return servers;
}

/** Remembers the block of ports of an environment that has servers here; undefined for one that has none. */
export async function portsPart({ host, config, root }: ServersContext): Promise<Part | undefined> {
  const isNeeded = KINDS.some(({ name, isWanted }) => name !== 'kafka-client' && isWanted(config));
  return isNeeded ? (await choosePorts(host, root, config['host.portBase'])).part : undefined;
}

/**
 * Stops servers in the reverse order, each after the one that needs it, within 15 s over all: a server gets what
 * time is left, and is killed then. Processes of one server stop together: brokers one after another would wait in
 * vain for the majority that the first ones took with them.
 */
export async function stopServers(host: Host, servers: readonly Pick<Server, 'processes'>[]): Promise<void> {
  const endMs = performance.now() + STOP_MS_MAX;
  const running = servers.filter(({ processes }) => processes.length > 0).reverse();
  for (const [index, { processes }] of running.entries()) {
    // Half of what is left, so that one that hangs leaves time for the others.
    const leftMs = Math.max(0, endMs - performance.now());
    const msMax = index === running.length - 1 ? leftMs : leftMs / 2;
    await Promise.all(processes.map(name => host.stop(name, { msMax })));
  }
}
