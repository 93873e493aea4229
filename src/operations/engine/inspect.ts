import { join } from 'node:path';
import type { Config } from '../../config/options.ts';
import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import { parseJsonObject } from '../../core/event.ts';
import type { Change, Step } from '../../core/operation.ts';
import type { OperationState, OperationTarget } from '../../core/operation-documents.ts';
import { withNeeds } from './graph.ts';
import { type Look, type Operation, operationId, operationPath, type Scope, type Unit } from './operation.ts';

/** Left behind by a run that changed an operation and has not verified it: it failed, or was cut off. */
export interface UnfinishedMark {
  readonly startedAtMs: number;
  readonly run: string;
  /** Null where the run was cut off. */
  readonly error: ErrorDocument | null;
}

/** An operation with one look at it. */
export interface Inspection {
  readonly operation: Operation;
  readonly path: string;
  readonly unit: Unit;
  readonly look: Look;
  readonly missing: readonly string[];
  readonly unfinished: UnfinishedMark | null;
  readonly state: OperationState;
  /** What `run` would change, a verification that is still due among it. */
  readonly changes: readonly Change[];
}

const AT_ONCE_MAX = 8;

/** Looks at operations, several at once, and gives them back in their order. Reads only. */
export async function inspectAll(
  operations: readonly Operation[],
  scope: Scope,
): Promise<readonly Inspection[]> {
  return mapBounded(operations, AT_ONCE_MAX, operation => inspect(operation, scope));
}

/**
 * As {@link inspectAll}, but an operation that cannot be looked at (a server that does not answer, a port that is
 * taken) is one that failed, with the error, and the others are told all the same. One that a run is at work on now
 * is told as it looks: it has not failed.
 */
export async function surveyAll(
  operations: readonly Operation[],
  scope: Scope,
): Promise<readonly Inspection[]> {
  const survey = (operation: Operation) =>
    inspect(operation, scope).catch((error: unknown) => unseen(operation, scope, error));
  return mapBounded(operations, AT_ONCE_MAX, async operation => {
    const seen = await survey(operation);
    if (seen.unfinished === null || seen.unfinished.error !== null) return seen;
    const sinceMs = scope.site.runningSinceMs();
    // The run that had marked it may have ended meanwhile.
    if (sinceMs === undefined) return survey(operation);
    return seen.unfinished.startedAtMs < sinceMs ? seen : underway(seen);
  });
}

function underway(seen: Inspection): Inspection {
  const { look, missing } = seen;
  return { ...seen, unfinished: null, state: stateOf(look, missing, null), changes: changesOf(look, null) };
}

const NOTHING: Look = {
  exists: false,
  steps: [],
  report: {},
  processes: [],
  undoSteps: () => undefined,
  restartSteps: () => undefined,
};

function unseen(operation: Operation, scope: Scope, error: unknown): Inspection {
  if (!(error instanceof MillraceError)) throw error;
  const unit = unitOf(operation, scope);
  const document = error.toDocument();
  const report = { error: document.code, why: document.why, remedy: document.remedy };
  return {
    operation,
    path: operationPath(operation, scope.environment),
    unit,
    look: { ...NOTHING, report },
    missing: unit.missing(scope),
    unfinished: { startedAtMs: 0, run: '', error: document },
    state: 'failed',
    changes: [],
  };
}

/** Looks at one operation. */
export async function inspect(operation: Operation, scope: Scope): Promise<Inspection> {
  const unit = unitOf(operation, scope);
  const [look, unfinished] = await Promise.all([unit.look(scope), readMark(operation, scope)]);
  const missing = unit.missing(scope);
  return {
    operation,
    path: operationPath(operation, scope.environment),
    unit,
    look,
    missing,
    unfinished,
    state: stateOf(look, missing, unfinished),
    changes: changesOf(look, unfinished),
  };
}

/** Whether this release does anything for the operation, and for all it needs, on their targets. */
export function isSupported(operation: Operation, operations: readonly Operation[], config: Config): boolean {
  return withNeeds([operation], operations).every(({ target, units }) => units[target(config)] !== undefined);
}

function unitOf(operation: Operation, { config, environment }: Scope): Unit {
  const target = operation.target(config);
  return operation.units[target] ?? unsupportedUnit(operation, operationPath(operation, environment), target);
}

/** Stands for a target that this release does nothing on: listed and planned as undone, refused when it is run. */
function unsupportedUnit(operation: Operation, path: string, target: OperationTarget): Unit {
  const refuse = async (): Promise<never> => {
    const remedy = `Choose a target that it has: ${Object.keys(operation.units).join(', ')}`;
    throw new MillraceError(
      'ERR_OPERATION_TARGET',
      `${path} does nothing on target "${target}" in this release`,
      {
        remedy,
      },
    );
  };
  const what = `nothing in this release does this on target ${target}`;
  const steps = [{ step: 'unsupported', what, before: null, after: target, apply: refuse }];
  return {
    look: async () => ({ ...NOTHING, steps }),
    verify: refuse,
    missing: () => [],
    standIn: null,
    isServed: false,
  };
}

function stateOf(look: Look, missing: readonly string[], unfinished: UnfinishedMark | null): OperationState {
  if (unfinished !== null) return 'failed';
  if (look.steps.length > 0) return look.exists ? 'drifted' : 'absent';
  return missing.length > 0 ? 'partial' : 'applied';
}

function changesOf(look: Look, unfinished: UnfinishedMark | null): readonly Change[] {
  if (look.steps.length === 0 && unfinished !== null) return [VERIFY_AGAIN];
  return look.steps.map(changeOf);
}

const VERIFY_AGAIN: Change = {
  step: 'verify',
  what: 'verify what an earlier run changed and did not see working',
  before: 'unverified',
  after: 'verified',
};

/** A step as data. */
export function changeOf({ step, what, before, after }: Step): Change {
  return { step, what, before, after };
}

/** Where an operation's {@link UnfinishedMark} lies. */
export function markFile(operation: Operation, { site }: Scope): string {
  return join(site.paths.operations, 'unfinished', `${operationId(operation).replace('/', '-')}.json`);
}

async function readMark(operation: Operation, scope: Scope): Promise<UnfinishedMark | null> {
  const bytes = await scope.site.host.read(markFile(operation, scope));
  if (bytes === undefined) return null;
  const mark = parseJsonObject(Buffer.from(bytes).toString('utf8')) as UnfinishedMark | undefined;
  // One that was damaged still says that a run did not end.
  return mark ?? { startedAtMs: 0, run: '', error: null };
}

/** Like `Promise.all` over `work`, with at most so many at once; the first failure is thrown, none starts after it. */
export async function mapBounded<In, Out>(
  items: readonly In[],
  atOnceMax: number,
  work: (item: In) => Promise<Out>,
): Promise<readonly Out[]> {
  const results = new Array<Out>(items.length);
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}
