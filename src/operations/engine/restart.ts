import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import type { Step } from '../../core/operation.ts';
import type { RunSummary } from '../../core/operation-documents.ts';
import { changeOf, type Inspection, inspect } from './inspect.ts';
import { type Operation, operationPath } from './operation.ts';
import { applySteps, attempt, eventsOf, type RunDeps, type RunState, recordRun, refuseLeft } from './run.ts';

/**
 * Restarts what operations run by themselves, one operation after another, each verified and with a receipt; what else
 * of one is not as it should be is mended on the way. Needs the lock of operations. Throws ERR_OPERATION_TARGET, before
 * anything is stopped, where one of them runs nothing by itself.
 * @param isRolling  one process of a server at a time, all of it healthy in between
 */
export async function restartOperations(
  operations: readonly Operation[],
  deps: RunDeps,
  isRolling: boolean,
): Promise<RunSummary & { readonly error: ErrorDocument | null }> {
  const { scope } = deps;
  const state: RunState = { deps, id: deps.newId(), verb: 'restart', written: [], ready: new Set() };
  for (const operation of operations) stepsOf(await inspect(operation, scope), isRolling);
  const paths = operations.map(operation => operationPath(operation, scope.environment));
  return recordRun(state, paths, async () => {
    for (const operation of operations) await restartOne(await inspect(operation, scope), state, isRolling);
  });
}

async function restartOne(inspection: Inspection, state: RunState, isRolling: boolean): Promise<void> {
  const { deps } = state;
  const { operation, path, unit } = inspection;
  const steps = stepsOf(inspection, isRolling);
  const emit = eventsOf(path, deps);
  await attempt(state, { ...inspection, changes: steps.map(changeOf) }, async made => {
    await applySteps(steps, state, { emit, made });
    emit('verify', `verifying ${path}`);
    const observed = await unit.verify(deps.scope);
    await refuseLeft(operation, deps.scope);
    return observed;
  });
  emit('done', `restarted ${path}`, { outcome: 'applied' });
}

function stepsOf({ look, path }: Inspection, isRolling: boolean): readonly Step[] {
  const steps = look.restartSteps(isRolling);
  if (steps !== undefined) return steps;
  throw new MillraceError('ERR_OPERATION_TARGET', `${path}: nothing of it runs by itself`, {
    remedy: 'Name a server, as Provision/Redis; millrace status tells what runs.',
  });
}
