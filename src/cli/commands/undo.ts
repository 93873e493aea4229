import { MillraceError } from '../../core/errors.ts';
import { changeText } from '../../operations/engine/run.ts';
import { planUndo, refuseInUse, undoOperation } from '../../operations/engine/undo.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { operationCall } from '../operation-call.ts';
import { stopSignal } from '../stop-signal.ts';
import { finish, tell } from './run.ts';

/** `undo PATH`: says what it takes back, then does; refuses what holds data and what the serving process uses. */
export async function undo(call: Call): Promise<number> {
  const { output } = call;
  const called = operationCall(call, call.args);
  const [operation, ...more] = called.operations;
  if (operation === undefined || more.length > 0) {
    throw new MillraceError('ERR_USAGE', `undo takes one operation back, not ${called.operations.length}`);
  }
  const opened = await openOperations({
    ...called,
    as: call.text('as'),
    removesData: call.flag('removeData'),
    signal: stopSignal(),
    emit: event => tell(output, event),
  });
  if (call.flag('plan')) {
    const changes = await planUndo(operation, { scope: opened.scope });
    const document = { plan: [{ operation: called.paths[0], changes }], changes: changes.length };
    output.document(document, () => `${changes.map(changeText).join('\n') || 'Nothing to take back.'}\n`);
    return 0;
  }
  await refuseUnconfirmed(call, called.settings.environment, called.config);
  await refuseInUse(operation, opened);
  // What cannot be taken back is said before there is a lock or a record of it.
  await planUndo(operation, opened);
  return finish(output, await opened.locked(deps => undoOperation(operation, deps)));
}
