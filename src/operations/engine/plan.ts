import { MillraceError } from '../../core/errors.ts';
import type { PlanDocument } from '../../core/operation-documents.ts';
import { levelsOf, withNeeds } from './graph.ts';
import { type Inspection, inspectAll } from './inspect.ts';
import type { Operation, Scope } from './operation.ts';

/** What is to be brought about. */
export interface Request {
  /** What was asked for, as it was typed. */
  readonly paths: readonly string[];
  readonly operations: readonly Operation[];
  /** Refuses where something that is needed is not in place, instead of putting it there. */
  readonly only: boolean;
}

/** A plan: what was seen, and in what order it is worked through. */
export interface Plan {
  readonly request: Request;
  /** What was asked for and what of its needs is not in place, cut into levels. */
  readonly levels: readonly (readonly Inspection[])[];
  readonly changes: number;
}

/**
 * Looks at everything that is asked for and at all it needs. Reads only. Throws ERR_NEEDS_UNMET with `only`.
 * @param operations  the whole list
 */
export async function makePlan(
  request: Request,
  operations: readonly Operation[],
  scope: Scope,
): Promise<Plan> {
  const seen = await inspectAll(withNeeds(request.operations, operations), scope);
  const isAskedFor = ({ operation }: Inspection) => request.operations.includes(operation);
  const unmet = seen.filter(inspection => !isAskedFor(inspection) && inspection.changes.length > 0);
  if (request.only && unmet.length > 0) {
    const paths = unmet.map(({ path }) => path);
    throw new MillraceError('ERR_NEEDS_UNMET', `not in place: ${paths.join(', ')}`, {
      remedy: `Run them first: millrace run ${paths.join(' ')}`,
    });
  }
  const worked = seen.filter(inspection => isAskedFor(inspection) || unmet.includes(inspection));
  const byOperation = new Map(worked.map(inspection => [inspection.operation, inspection]));
  const levels = levelsOf(worked.map(({ operation }) => operation)).map(level =>
    level.map(operation => byOperation.get(operation)!),
  );
  return { request, levels, changes: worked.reduce((sum, { changes }) => sum + changes.length, 0) };
}

/** A plan as `plan` prints it and `run FILE` compares it. */
export function planDocument(plan: Plan, scope: Scope, configDigest: string): PlanDocument {
  const planned = plan.levels.flat().filter(({ changes }) => changes.length > 0);
  return {
    plan: planned.map(({ path, changes }) => ({ operation: path, changes })),
    changes: plan.changes,
    environment: scope.environment,
    paths: plan.request.paths,
    jobs: scope.jobs,
    configDigest,
    releaseDigest: scope.release.digest,
  };
}

/** Throws ERR_PLAN_STALE where a saved plan is not what would be done now. */
export function refuseStale(saved: PlanDocument, now: PlanDocument): void {
  const differences = [
    ['the environment', saved.environment, now.environment],
    ['the configuration', saved.configDigest, now.configDigest],
    ['the release', saved.releaseDigest, now.releaseDigest],
    ['what was observed', JSON.stringify(saved.plan), JSON.stringify(now.plan)],
  ] as const;
  const changed = differences.filter(([, before, after]) => before !== after).map(([name]) => name);
  if (changed.length > 0) {
    throw new MillraceError('ERR_PLAN_STALE', `since it was saved, ${changed.join(' and ')} changed`);
  }
}
