import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../../config/environment.ts';
import type { StatusDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { operationPath } from '../../operations/engine/operation.ts';
import type { Call } from '../call.ts';
import { stopEnvironmentServers } from '../compose-servers.ts';
import { askDocument, findServer, readServing } from '../http-client.ts';
import { type OperationCall, operationCall } from '../operation-call.ts';

// The service drains within 15 s and stops the servers that it started within another 15 s; what is left after that
// needs a look.
const STOP_MS_MAX = 35_000;
const LOOK_MS = 50;

/**
 * `down`: asks the process that serves the data directory to drain and waits until it is gone, then stops the
 * environment's servers on this machine, whoever started them; with paths only those. Exit 0 also where nothing runs.
 * A pid that a stale file names is never signalled: what listens there must first prove with the data directory's
 * token that it is the environment's server.
 */
export async function down(call: Call): Promise<undefined> {
  const { output } = call;
  const called = operationCall(call, call.args);
  const { settings, config, operations, paths } = called;
  const { environment, dataDirectory } = settings;
  if (paths.length > 0) refuseOthers(called);
  // What serves the environment needs every server of it: it drains first, whichever is to be stopped.
  const pid = await stopServing(settings);
  const named = new Set(operations.map(({ name }) => name.toLowerCase()));
  const isMeant = (name: string) => paths.length === 0 || named.has(name.replace(/-\d+$/, ''));
  const servers = await stopEnvironmentServers({ config, environment, dataDirectory }, isMeant);
  const stopped = [...(pid === null ? [] : [environment]), ...servers];
  output.document({ stopped: stopped.length > 0, ...(pid === null ? {} : { pid }), servers }, () =>
    stopped.length === 0 ? `Nothing serves ${environment}.\n` : `Stopped ${stopped.join(', ')}.\n`,
  );
}

/** What runs inside the serving process, or elsewhere, cannot be stopped by itself: said before anything is stopped. */
function refuseOthers({ operations, settings, config }: OperationCall): void {
  const other = operations.find(operation => operation.target(config) !== 'host');
  if (other === undefined) return;
  const path = operationPath(other, settings.environment);
  if (other.target(config) === 'external') {
    throw new MillraceError('ERR_OPERATION_TARGET', `${path} is run by others (target external)`, {
      remedy: 'Stop it where it runs. The pipeline alone is stopped by: millrace down',
    });
  }
  throw new MillraceError(
    'ERR_OPERATION_TARGET',
    `${path} is part of the serving process on target embedded`,
    {
      remedy: 'Stop the whole of it: millrace down',
    },
  );
}

/** Stops the process that serves the environment; its pid, null where none does. */
export async function stopServing(settings: Settings): Promise<number | null> {
  const serving = readServing(settings);
  if (serving === undefined || !(await isServing({ ...settings, url: serving.url }))) return null;
  process.kill(serving.pid, 'SIGTERM');
  const deadlineMs = Date.now() + STOP_MS_MAX;
  while (isAlive(serving.pid)) {
    if (Date.now() > deadlineMs) {
      throw new MillraceError('ERR_NOT_READY', `process ${serving.pid} still runs after ${STOP_MS_MAX} ms`, {
        remedy: `Look at its log; kill -9 ${serving.pid} loses nothing that was acknowledged.`,
      });
    }
    await sleep(LOOK_MS);
  }
  return serving.pid;
}

async function isServing(settings: Call['settings']): Promise<boolean> {
  try {
    const { environment } = await askDocument<StatusDocument>(findServer(settings), { path: '/v1/status' });
    return environment === settings.environment;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_NOT_SERVING') return false;
    // Another program's server, or another environment's, does not take our token.
    if (error instanceof MillraceError && error.code === 'ERR_UNAUTHORIZED') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM means that it lives but is not ours to signal.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
