import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { detachedFlags, startDetached } from '../detach.ts';
import { readServing } from '../http-client.ts';
import { operationCall } from '../operation-call.ts';
import { stopServing } from './down.ts';

/**
 * `restart PATH`: on target embedded every component is part of the serving process, so that is what is drained and
 * started again, with the flags it had. Only where it was detached: another one belongs to its terminal.
 */
export async function restart(call: Call): Promise<undefined> {
  const { settings, config, operations, paths } = operationCall(call, call.args);
  const apart = operations.find(operation => operation.target(config) !== 'embedded');
  if (apart !== undefined) {
    throw new MillraceError(
      'ERR_OPERATION_TARGET',
      `${paths[0]}: this release restarts no server by itself`,
      {
        remedy: 'Restart the environment: millrace down, then millrace up.',
      },
    );
  }
  const serving = readServing(settings);
  if (serving === undefined) {
    throw new MillraceError('ERR_NOT_SERVING', `nothing serves ${settings.environment}`);
  }
  const flags = detachedFlags(call, serving.pid);
  if (flags === undefined) {
    throw new MillraceError('ERR_OPERATION_TARGET', `process ${serving.pid} serves in the foreground`, {
      remedy: 'Stop it with Ctrl-C and start it again: millrace up',
    });
  }
  await stopServing(settings);
  await startDetached(call, flags);
}
