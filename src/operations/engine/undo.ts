import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import type { Change } from '../../core/operation.ts';
import type { OperationDescription, RunSummary } from '../../core/operation-documents.ts';
import { changeOf, inspect } from './inspect.ts';
import { type Look, type Operation, operationPath } from './operation.ts';
import { applySteps, attempt, eventsOf, type RunDeps, type RunState, recordRun } from './run.ts';

/** What `undo` would take back. Throws ERR_UNDO_REFUSED where the operation has no undo. */
export async function planUndo(
  operation: Operation,
  deps: Pick<RunDeps, 'scope'>,
): Promise<readonly Change[]> {
  return (await undoSteps(operation, deps)).map(changeOf);
}

/** Tells what an undo would do to an operation as it was just looked at; null where it has none. */
export async function undoOutlook(look: Look, isServed: boolean): Promise<OperationDescription['undo']> {
  try {
    const steps = await look.undoSteps();
    if (steps === undefined) return null;
    const isInUse = isServed && steps.some(({ whileServed }) => whileServed !== true);
    return { changes: steps.map(changeOf), refusal: null, isInUse };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    // What only its owner can look into is asked again when nothing owns it.
    const isInUse = isServed && error.code === 'ERR_OWNED';
    return { changes: [], refusal: isInUse ? null : error.toDocument(), isInUse };
  }
}

/**
 * Throws ERR_UNDO_REFUSED where the environment is served and the undo would take what the serving process uses: its
 * data, its secrets, servers that it needs. What was remembered of an operation may go meanwhile.
 */
export async function refuseInUse(operation: Operation, { scope }: Pick<RunDeps, 'scope'>): Promise<void> {
  const served = await scope.site.served();
  if (served === null) return;
  const { look, path } = await inspect(operation, scope);
  const outlook = await undoOutlook(look, true);
  if (outlook?.isInUse !== true) return;
  throw new MillraceError('ERR_UNDO_REFUSED', `${served.url} serves the environment and uses ${path}`, {
    remedy: `Stop it first: millrace down, then millrace undo ${path}`,
  });
}

/** Takes an operation back; what it leaves is looked at afterwards. Needs the lock of operations. */
export async function undoOperation(
  operation: Operation,
  deps: RunDeps,
): Promise<RunSummary & { readonly error: ErrorDocument | null }> {
  const state: RunState = { deps, id: deps.newId(), verb: 'undo', written: [], ready: new Set() };
  const path = operationPath(operation, deps.scope.environment);
  return recordRun(state, [path], async () => {
    const steps = await undoSteps(operation, deps);
    if (steps.length === 0) return;
    const inspection = await inspect(operation, deps.scope);
    const emit = eventsOf(path, deps);
    const undone = { ...inspection, changes: steps.map(changeOf), missing: [] };
    await attempt(state, undone, async made => {
      await applySteps(steps, state, { emit, made });
      const left = await undoSteps(operation, deps);
      if (left.length > 0) {
        throw new MillraceError(
          'ERR_VERIFY_FAILED',
          `still there: ${left.map(({ what }) => what).join(', ')}`,
        );
      }
      return {};
    });
    emit('done', `undone ${path}`, { outcome: 'applied' });
  });
}

async function undoSteps(operation: Operation, { scope }: Pick<RunDeps, 'scope'>) {
  const { look, path } = await inspect(operation, scope);
  const steps = await look.undoSteps();
  if (steps !== undefined) return steps;
  throw new MillraceError('ERR_UNDO_REFUSED', `${path} has no undo`, {
    remedy: 'Bootstrap and Provision can be taken back; millrace uninstall removes an environment.',
  });
}
