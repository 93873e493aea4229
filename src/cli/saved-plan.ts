import { readFileSync, statSync } from 'node:fs';
import { MillraceError } from '../core/errors.ts';
import { parseJsonObject } from '../core/event.ts';
import type { PlanDocument } from '../core/operation-documents.ts';
import { resolvePath } from '../operations/engine/paths.ts';
import { OPERATIONS } from '../operations/list.ts';

/**
 * The plan that `plan --out` saved, where the one argument is a file; undefined where operations are named. Throws
 * ERR_FILE_UNREADABLE where it names a file that is not there, or is no plan.
 */
export function savedPlan(args: readonly string[]): PlanDocument | undefined {
  const [file, ...more] = args;
  if (file === undefined || more.length > 0 || isOperation(file)) return undefined;
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    // No operation has a dot in its path.
    if (!file.includes('.')) return undefined;
    throw new MillraceError('ERR_FILE_UNREADABLE', `there is no file ${file}`, {
      remedy: 'Save a plan: millrace plan --out FILE. Or name operations: millrace operations lists them.',
    });
  }
  const document = parseJsonObject(readPlan(file));
  if (document !== undefined && isPlan(document)) return { ...document, jobs: document.jobs ?? [] };
  throw new MillraceError('ERR_FILE_UNREADABLE', `${file} holds no plan of "millrace plan --out"`);
}

function readPlan(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MillraceError('ERR_FILE_UNREADABLE', `${file}: ${(cause as Error).message}`, { cause });
  }
}

/** An earlier version saved plans without jobs. */
type SavedPlan = Omit<PlanDocument, 'jobs'> & Partial<Pick<PlanDocument, 'jobs'>>;

/** What it would change is compared as a whole with what is seen now; only what is used before is looked at here. */
function isPlan(document: object): document is SavedPlan {
  const { plan, environment, paths, jobs = [] } = document as Partial<Record<keyof PlanDocument, unknown>>;
  return Array.isArray(plan) && typeof environment === 'string' && isTexts(paths) && isTexts(jobs);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(text => typeof text === 'string');
}

/** A name of an operation is one, whatever files lie in the working directory. */
function isOperation(text: string): boolean {
  try {
    resolvePath(text, { operations: OPERATIONS, environments: [], environment: 'local' });
    return true;
  } catch (error) {
    return error instanceof MillraceError && error.code === 'ERR_OPERATION_AMBIGUOUS';
  }
}
