import { MillraceError } from '../../core/errors.ts';
import type { OperationTarget } from '../../core/operation-documents.ts';
import { type Operation, operationPath } from '../../operations/engine/operation.ts';
import { restartOperations } from '../../operations/engine/restart.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { detachedFlags, startDetached } from '../detach.ts';
import { readServing } from '../http-client.ts';
import { type OperationCall, operationCall } from '../operation-call.ts';
import { stopSignal } from '../stop-signal.ts';
import { stopServing } from './down.ts';
import { finish, tell } from './run.ts';

/**
 * `restart PATH`: a server on this machine is stopped, started and verified, with a receipt, whether the environment is
 * served meanwhile or not: what serves it waits. On target embedded every component is part of the serving process, so
 * that is what is drained and started again. What others run is refused.
 */
export async function restart(call: Call): Promise<number | undefined> {
  const called = operationCall(call, call.args);
  const on = (target: OperationTarget): readonly Operation[] =>
    called.operations.filter(operation => operation.target(called.config) === target);
  const pathOf = (operation: Operation): string => operationPath(operation, called.settings.environment);
  const [foreign] = on('external');
  if (foreign !== undefined) {
    throw new MillraceError('ERR_OPERATION_TARGET', `${pathOf(foreign)} is run by others (target external)`, {
      remedy: 'Restart it where it runs; the pipeline waits for it and goes on.',
    });
  }
  const servers = on('host');
  if (servers.length === 0) return restartServing(call, called);
  if (on('embedded').length > 0) {
    const why = `${call.arg(0)} names servers and parts of the serving process`;
    throw new MillraceError('ERR_OPERATION_TARGET', why, {
      remedy: `Name one: ${servers.map(pathOf).join(', ')}`,
    });
  }
  return restartServers(call, called);
}

async function restartServers(call: Call, called: OperationCall): Promise<number> {
  const { output } = call;
  const { operations, settings, config } = called;
  await refuseUnconfirmed(call, settings.environment, config);
  const opened = await openOperations({
    ...called,
    as: call.text('as'),
    signal: stopSignal(),
    emit: event => tell(output, event),
  });
  const isRolling = call.flag('rolling');
  return finish(output, await opened.locked(deps => restartOperations(operations, deps, isRolling)));
}

/** Only where it was detached, with the flags it had: another one belongs to its terminal. */
async function restartServing(call: Call, { settings }: OperationCall): Promise<undefined> {
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
