import type { Config } from '../../src/config/options.ts';
import type { Change, Step } from '../../src/core/operation.ts';
import { observeParts, planParts } from '../../src/operations/provision/part.ts';
import type { Server } from '../../src/operations/provision/server.ts';
import { describeServers, portsPart, type ServersContext } from '../../src/operations/provision/servers.ts';

/** A server with what is still to be done for it. */
export interface ServerPlan {
  readonly server: Server;
  readonly observed: readonly Change[];
  readonly steps: readonly Step[];
}

/** Servers that run and were verified. */
export interface RunningServers {
  readonly servers: readonly Server[];
  readonly bindings: Partial<Config>;
  /** One line each: what answered, and where. */
  readonly answers: readonly string[];
}

/** What is still to be done for servers alone, without the operations around them. */
export async function planServers(context: ServersContext): Promise<readonly ServerPlan[]> {
  const plans: ServerPlan[] = [];
  for (const server of await describeServers(context)) {
    const observed = await observeParts(context.host, server.parts);
    plans.push({ server, observed, steps: planParts(server.parts, observed) });
  }
  return plans;
}

/** Applies what is to be done, all of it planned before, and asks each server. */
export async function bringUpServers(context: ServersContext): Promise<RunningServers> {
  const { host } = context;
  const plans = await planServers(context);
  const step = { host, progress: () => undefined, signal: new AbortController().signal };
  await (await portsPart(context))?.apply(step);
  const answers: string[] = [];
  for (const { server, steps } of plans) {
    for (const { apply } of steps) await apply(step);
    answers.push(await server.verify(host));
  }
  const servers = plans.map(({ server }) => server);
  return { servers, answers, bindings: Object.assign({}, ...servers.map(({ bindings }) => bindings)) };
}
