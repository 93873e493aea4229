import type { Operation, Scope } from '../operations/engine/operation.ts';
import { provisionOf } from '../operations/list.ts';
import type { ServerSecret } from '../operations/provision/server.ts';
import { describeServers } from '../operations/provision/servers.ts';

/** A secret that was drawn here. */
export interface GeneratedSecret extends ServerSecret {
  /** What takes it over; undefined where nothing runs that would have to. */
  readonly operation: Operation | undefined;
}

/** The secrets of an environment that are drawn here, the operator's token first; reads none of them. */
export async function generatedSecrets({
  site,
  config,
  environment,
}: Scope): Promise<readonly GeneratedSecret[]> {
  const { root, cache } = site.paths;
  const servers = await describeServers({ host: site.host, config, environment, root, cache });
  const token = {
    name: 'operator-token',
    file: site.paths.tokenFile,
    made: [],
    usedBy: 'the API, the console and the command line',
    isServedWith: true,
    operation: undefined,
  };
  const passwords = servers.flatMap(({ name, secrets }) => {
    const operation = provisionOf(name);
    return operation === undefined ? [] : secrets.map(secret => ({ ...secret, operation }));
  });
  return [token, ...passwords];
}
