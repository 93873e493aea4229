import { environmentFolder, type Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import { composeHost } from './compose-servers.ts';
import { readServing } from './http-client.ts';
import { portOwner } from './port-owner.ts';
import { secretReferences, unresolvedSecret } from './secret-references.ts';

/**
 * What must hold before anything is changed or started: every secret that the configuration refers to is there, and
 * the disk has room. Throws the error that says what to do.
 */
export async function refuseUnready(settings: Settings, config: Config): Promise<void> {
  for (const reference of secretReferences(config)) {
    const problem = unresolvedSecret(reference, settings.env);
    if (problem === null) continue;
    const why = `${reference.key}, used by ${reference.usedBy}: ${problem.why}`;
    throw new MillraceError('ERR_CONFIG_INVALID', why, { remedy: problem.remedy });
  }
  const { freeBytes } = await composeHost(environmentFolder(settings)).facts();
  const wanted = freeBytesWanted(config);
  if (freeBytes >= wanted) return;
  const why = `${settings.dataDirectory} has ${freeBytes} bytes free, and ${wanted} are needed`;
  throw new MillraceError('ERR_DISK_FULL', why, {
    remedy: 'Free space, use another --data, or lower log.freeBytesMin.',
  });
}

/** Free bytes without which nothing is set up. */
export function freeBytesWanted(config: Config): number {
  // With the reserve switched off, a disk to its last byte is the operator's wish; a full one takes nothing.
  return Math.max(1, config['log.freeBytesMin']);
}

/** Throws ERR_PORT_TAKEN, saying who has it, where another process than this environment's server listens. */
export async function refuseTakenPort(settings: Settings, config: Config): Promise<void> {
  const taken = await takenPort(settings, config);
  if (taken === null) return;
  throw new MillraceError('ERR_PORT_TAKEN', taken, {
    remedy: 'Stop it, or pass another one: --port N (0 picks a free one)',
  });
}

/** Who listens where the environment is to be served, as text; null where nobody else does. */
export async function takenPort(settings: Settings, config: Config): Promise<string | null> {
  const port = config['http.port'];
  if (port === 0 || (await composeHost(environmentFolder(settings)).isPortFree(port))) return null;
  const owner = portOwner(port);
  // The environment is served already: that is for its lock to say.
  if (owner !== undefined && readServing(settings)?.pid === owner.pid) return null;
  const who = owner === undefined ? 'a process of another user' : `pid ${owner.pid} (${owner.name})`;
  return `port ${port} is used by ${who}`;
}
