import { join } from 'node:path';
import type { Config } from '../../config/options.ts';
import type { Host } from '../../core/host.ts';
import type { Change, Step } from '../../core/operation.ts';
import { kafkaServer } from './kafka.ts';
import { kafkaClient } from './kafka-client.ts';
import { observeParts, planParts } from './part.ts';
import { choosePorts } from './ports.ts';
import { postgresServer } from './postgres.ts';
import { redisServer } from './redis.ts';
import type { Server, ServerContext } from './server.ts';
import { zookeeperServer } from './zookeeper.ts';

/** What the servers of an environment are brought up with. */
export interface ServersContext {
  readonly host: Host;
  readonly config: Config;
  readonly environment: string;
  /** Absolute. */
  readonly dataDirectory: string;
  /** Absolute; see `cacheDirectory`. */
  readonly cacheDirectory: string;
  /** Told what goes on, a line at a time; no secrets. */
  readonly progress: (line: string) => void;
  /** Ends the work at the next safe place. */
  readonly signal?: AbortSignal;
}

/** A server with what is still to be done for it; no step where all is as it should be. */
export interface ServerPlan {
  readonly server: Server;
  readonly observed: readonly Change[];
  readonly steps: readonly Step[];
}

/** Servers that run and were verified. */
export interface RunningServers {
  readonly servers: readonly Server[];
  /** To be laid over the configuration: addresses, users, references to secrets. */
  readonly bindings: Partial<Config>;
  /** One line each: what answered, and where. */
  readonly answers: readonly string[];
}

const SERVERS = ['redis', 'postgres', 'kafka'] as const;
/** All of them together; a server that needs longer is killed, and recovers when it starts. */
const STOP_MS_MAX = 15_000;

/**
 * The servers that an environment wants on its host, each with what is still to be done, in the order in which
 * they start. Reads only. Throws before anything is changed where a port is taken or a program is missing.
 */
export async function planServers(context: ServersContext): Promise<readonly ServerPlan[]> {
  const plans: ServerPlan[] = [];
  for (const server of await wantedServers(context)) {
    const observed = await observeParts(context.host, server.parts);
    plans.push({ server, observed, steps: planParts(server.parts, observed) });
  }
  return plans;
}

/**
 * Applies what is to be done and verifies each server, also those with nothing to do. Safe to run again. Where it
 * fails or is cancelled, the servers that it started are stopped again.
 */
export async function bringUpServers(context: ServersContext): Promise<RunningServers> {
  const plans = await planServers(context);
  const begun: Server[] = [];
  const answers: string[] = [];
  try {
    for (const plan of plans) {
      if (plan.steps.length > 0) begun.push(plan.server);
      answers.push(await bringUp(plan, context));
    }
  } catch (error) {
    await stopServers(context.host, begun);
    throw error;
  }
  const servers = plans.map(({ server }) => server);
  const bindings: Partial<Config> = Object.assign({}, ...servers.map(server => server.bindings));
  return { servers, bindings, answers };
}

async function bringUp({ server, steps }: ServerPlan, context: ServersContext): Promise<string> {
  const { host, progress, signal = new AbortController().signal } = context;
  const startMs = performance.now();
  for (const { what, apply } of steps) {
    signal.throwIfAborted();
    progress(`${server.name}: ${what}`);
    await apply({ host, progress: line => progress(`${server.name}: ${line}`), signal });
  }
  const answer = await server.verify(host);
  progress(`${answer} after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return answer;
}

/**
 * Stops servers in the reverse order, each after the one that needs it, within 15 s over all: a server gets what
 * time is left, and is killed then. Processes of one server stop together: brokers one after another would wait in
 * vain for the majority that the first ones took with them.
 */
export async function stopServers(host: Host, servers: readonly Server[]): Promise<void> {
  const endMs = performance.now() + STOP_MS_MAX;
  const running = servers.filter(({ processes }) => processes.length > 0).reverse();
  for (const [index, { processes }] of running.entries()) {
    // Half of what is left, so that one that hangs leaves time for the others.
    const leftMs = Math.max(0, endMs - performance.now());
    const msMax = index === running.length - 1 ? leftMs : leftMs / 2;
    await Promise.all(processes.map(name => host.stop(name, { msMax })));
  }
}

/** In the order in which they start: whoever needs another one comes after it. */
async function wantedServers(context: ServersContext): Promise<readonly Server[]> {
  const { host, config, environment, dataDirectory, cacheDirectory } = context;
  const needsClient = config['log.adapter'] === 'kafka' && config['kafka.clientFolder'] === '';
  if (!needsClient && !SERVERS.some(server => isWanted(config, server))) return [];
  const root = join(dataDirectory, environment);
  const ports = await choosePorts(host, root, config['host.portBase']);
  const place = { environment, root, cache: cacheDirectory, ports };
  const wanted: ((server: ServerContext) => Promise<Server>)[] = [];
  if (isWanted(config, 'redis')) wanted.push(redisServer);
  if (isWanted(config, 'postgres')) wanted.push(postgresServer);
  if (needsClient) wanted.push(kafkaClient);
  if (isWanted(config, 'kafka')) {
    // Kafka 3.9 comes with the jars of a ZooKeeper of its time.
    if (config['kafka.generation'] === 'zookeeper') wanted.push(made => zookeeperServer(made, '3.8.4'));
    wanted.push(kafkaServer);
  }
  const servers: Server[] = [];
  for (const make of wanted) servers.push(await make({ host, place, config }));
  const [first, ...rest] = servers;
  return first === undefined ? [] : [{ ...first, parts: [ports.part, ...first.parts] }, ...rest];
}

const TARGETS: Readonly<Record<(typeof SERVERS)[number], (config: Config) => string>> = {
  redis: config => config['redis.target'],
  postgres: config => config['postgres.target'],
  kafka: config => config['kafka.target'],
};

/** Whether the pipeline uses a server that is to be brought up here. */
function isWanted(config: Config, server: (typeof SERVERS)[number]): boolean {
  if (TARGETS[server](config) !== 'host') return false;
  if (server === 'kafka') return config['log.adapter'] === 'kafka';
  if (server === 'postgres') return config['tables.adapter'] === 'postgresql';
  return config['state.adapter'] === 'redis' || config['cache.adapter'] === 'redis';
}
