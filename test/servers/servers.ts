import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { composeHost } from '../../src/cli/compose-servers.ts';
import { cacheDirectory } from '../../src/config/environment.ts';
import { type Config, OPTIONS, type OptionKey } from '../../src/config/options.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Host } from '../../src/core/host.ts';
import { describeServers, type ServersContext, stopServers } from '../../src/operations/provision/servers.ts';
import { bringUpServers, planServers, type RunningServers } from './bring-up.ts';

/** Servers that a test file has to itself. */
export interface TestServers extends RunningServers {
  readonly context: TestContext;
  /** The configuration with the servers' addresses, users and references to secrets in it. */
  readonly config: Config;
}

/** A context on a folder of its own. */
export interface TestContext extends ServersContext {
  readonly dataDirectory: string;
}

/** What each server takes in the configuration to be started on this machine. */
const WANTED: Readonly<Record<'redis' | 'postgres' | 'kafka', Partial<Config>>> = {
  redis: { 'state.adapter': 'redis', 'cache.adapter': 'redis', 'redis.target': 'host' },
  postgres: { 'tables.adapter': 'postgresql', 'postgres.target': 'host' },
  kafka: { 'log.adapter': 'kafka', 'kafka.target': 'host' },
};

/** The configuration of an environment without files: every key's fallback, then what is given. */
export function configWith(...overrides: readonly Partial<Config>[]): Config {
  const keys = Object.keys(OPTIONS) as OptionKey[];
  return Object.assign(Object.fromEntries(keys.map(key => [key, OPTIONS[key].fallback])), ...overrides);
}

/** Errors that say what this machine lacks; MILLRACE_TEST_SERVERS=required makes failures of them. */
const MISSING: readonly string[] = ['ERR_TOOL_MISSING', 'ERR_CLIENT_MISSING'];

/** What it takes for a server to be started by {@link bringUpServers}. */
export function wanting(...servers: readonly (keyof typeof WANTED)[]): Partial<Config> {
  return Object.assign({}, ...servers.map(server => WANTED[server]));
}

/**
 * A context on this machine with an empty data directory of its own. When the test file ends, the servers that were
 * started in it are stopped and the directory goes away: one hook, because hooks run in the order they were set.
 */
export async function serversContext(overrides: Partial<Config>): Promise<TestContext> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'millrace-servers-'));
  // Some servers run as another user inside it.
  await chmod(dataDirectory, 0o711);
  const environment = 'test';
  const root = join(dataDirectory, environment);
  const host = composeHost(root);
  const context = {
    host,
    root,
    cache: cacheDirectory(),
    config: configWith({ 'host.portBase': await claimPorts(host) }, overrides),
    environment,
    dataDirectory,
  };
  after(async () => {
    const hasStarted = (await context.host.stat(join(root, 'processes'))) !== undefined;
    if (hasStarted) await stopServers(context.host, await describeServers(context));
    await rm(dataDirectory, { recursive: true, force: true });
  });
  return context;
}

/** Blocks of ports as the product picks them, below those that systems hand out by themselves. */
const FIRST_PORT = 20_000;
const BLOCK_PORTS = 32;
const BLOCK_COUNT = 384;

/**
 * A free block of ports that stays this process's: it listens on the last one, which no server takes, until it ends.
 * Of two test files that pick a block at the same time, and come to listen on it seconds later, both would see it free.
 */
async function claimPorts(host: Host): Promise<number> {
  const first = randomInt(BLOCK_COUNT);
  for (let index = 0; index < BLOCK_COUNT; index++) {
    const base = FIRST_PORT + ((first + index) % BLOCK_COUNT) * BLOCK_PORTS;
    const claim = createServer().listen({ port: base + BLOCK_PORTS - 1, host: '127.0.0.1', exclusive: true });
    const isOurs = await once(claim, 'listening').then(
      () => true,
      () => false,
    );
    if (!isOurs) continue;
    claim.unref();
    const ports = Array.from({ length: BLOCK_PORTS - 1 }, (_, offset) => base + offset);
    const areFree = await Promise.all(ports.map(port => host.isPortFree(port)));
    if (areFree.every(Boolean)) return base;
    claim.close();
  }
  throw new Error('every block of ports is taken');
}

/**
 * Brings servers up for a test file and stops them when it ends; called outside of tests. Where this machine lacks
 * a program that they need, the answer says which, as the reason to skip.
 */
export async function startServers(
  servers: readonly (keyof typeof WANTED)[],
  overrides: Partial<Config> = {},
): Promise<TestServers | { readonly skip: string }> {
  const context = await serversContext({ ...wanting(...servers), ...overrides });
  try {
    const running = await bringUpServers(context);
    return { ...running, context, config: { ...context.config, ...running.bindings } };
  } catch (error) {
    return { skip: skipReason(servers, error) };
  }
}

/** What this machine lacks for servers, as the reason to skip; false where they can be started. Starts none. */
export async function missingFor(...servers: readonly (keyof typeof WANTED)[]): Promise<string | false> {
  try {
    await planServers(await serversContext(wanting(...servers)));
    return false;
  } catch (error) {
    return skipReason(servers, error);
  }
}

function skipReason(servers: readonly string[], error: unknown): string {
  const isMissing = error instanceof MillraceError && MISSING.includes(error.code);
  if (!isMissing || process.env['MILLRACE_TEST_SERVERS'] === 'required') throw error;
  return `needs ${servers.join(', ')}: ${error.why}. ${error.remedy}`;
}
