import { createHash } from 'node:crypto';
import { MemoryHost } from '../../src/adapters/host/memory-host.ts';
import type { Config } from '../../src/config/options.ts';
import { portsPart, type ServersContext } from '../../src/operations/provision/servers.ts';
import { planServers } from '../servers/bring-up.ts';
import { configWith } from '../servers/servers.ts';

/** What a command that has nothing to say answers. */
export const DONE = { exitCode: 0, stdout: '', stderr: '' } as const;

/** A host in memory that has what the servers need, and an environment on it. */
export function memoryServers(
  overrides: Partial<Config>,
  host = new MemoryHost(),
): { readonly host: MemoryHost; readonly context: ServersContext } {
  const context: ServersContext = {
    host,
    config: configWith({ 'host.portBase': 21_000, ...overrides }),
    environment: 'test',
    root: '/srv/data/test',
    cache: '/srv/cache',
  };
  return { host, context };
}

/** Applies all that is due, as a run does, but without asking the servers, which do not exist. */
export async function applyAll(context: ServersContext): Promise<readonly string[]> {
  const applied: string[] = [];
  const how = {
    host: context.host,
    progress: () => undefined,
    signal: new AbortController().signal,
  };
  const plans = await planServers(context);
  await (await portsPart(context))?.apply(how);
  for (const { server, steps } of plans) {
    for (const step of steps) {
      await step.apply(how);
      applied.push(`${server.name} ${step.step}`);
    }
  }
  return applied;
}

/** The steps that are due, `server step`. */
export async function due(context: ServersContext): Promise<readonly string[]> {
  const plans = await planServers(context);
  return plans.flatMap(({ server, steps }) => steps.map(({ step }) => `${server.name} ${step}`));
}

/** SHA-256, hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
