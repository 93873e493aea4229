import { readFileSync, statSync } from 'node:fs';
import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import { isObject } from '../../core/event.ts';
import type { PlanDocument, RunEvent, RunSummary } from '../../core/operation-documents.ts';
import { armFailpoint } from '../../observability/failpoint.ts';
import { resolvePath } from '../../operations/engine/paths.ts';
import { OPERATIONS } from '../../operations/list.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { formatCounted } from '../format.ts';
import { type OperationCall, operationCall } from '../operation-call.ts';
import type { Output } from '../output.ts';
import { refuseUnready } from '../preflight.ts';

/**
 * `run PATH…|FILE`: applies and verifies; exit 1 where something failed. With `--json` a line for each event, then
 * the summary. Ctrl-C cancels at the next boundary of a step; the next run goes on there.
 */
export async function run(call: Call): Promise<number> {
  const { args, output } = call;
  const saved = savedPlan(args);
  if (saved === undefined && args.length === 0) {
    throw new MillraceError('ERR_USAGE', 'run what?', {
      remedy: 'Name operations (millrace operations lists them) or a saved plan; "millrace up" runs all.',
    });
  }
  const called = savedCall(call, saved);
  await refuseUnconfirmed(call, called.settings.environment, called.config);
  armFailpoint(called.config['debug.failpoint']);
  const opened = await openOperations({
    ...called,
    as: call.text('as'),
    signal: cancelledBySignal(),
    emit: event => tell(output, event),
  });
  await refuseUnready(called.settings, called.config);
  const request = { paths: called.paths, operations: called.operations, only: call.flag('only') };
  const summary = await opened.run(request, saved);
  return finish(output, summary);
}

function savedCall(call: Call, saved: PlanDocument | undefined): OperationCall {
  if (saved === undefined) return operationCall(call, call.args);
  const called = operationCall(call, saved.paths.length === 0 ? [] : saved.paths);
  if (saved.environment === called.settings.environment) return called;
  throw new MillraceError('ERR_USAGE', `the plan is of ${saved.environment}`, {
    remedy: `millrace run FILE --env ${saved.environment}`,
  });
}

/** A plan that `plan --out` saved, where the one argument is a file. */
function savedPlan(args: readonly string[]): PlanDocument | undefined {
  const [file, ...more] = args;
  if (file === undefined || more.length > 0 || isOperation(file)) return undefined;
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const refuse = () =>
    new MillraceError('ERR_FILE_UNREADABLE', `${file} holds no plan of "millrace plan --out"`);
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw refuse();
  }
  if (!isObject(document) || !Array.isArray(document['plan']) || !Array.isArray(document['paths']))
    throw refuse();
  return document as unknown as PlanDocument;
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

/** Aborted by the first SIGINT or SIGTERM: what is done ends at the next boundary of a step. */
export function cancelledBySignal(): AbortSignal {
  const cancelled = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => cancelled.abort());
  return cancelled.signal;
}

/** One line an event, for a person on standard output, for a script as JSON. */
export function tell(output: Output, event: RunEvent): void {
  output.document(event, () => `${LABELS[event.phase]} ${textOf(event)}\n`);
}

const LABELS: Readonly<Record<RunEvent['phase'], string>> = {
  plan: 'plan   ',
  apply: 'apply  ',
  progress: '       ',
  verify: 'verify ',
  done: 'done   ',
};

function textOf({ operation, phase, message }: RunEvent): string {
  return phase === 'plan' || phase === 'apply' ? `${operation}: ${message}` : message;
}

/** Tells how a run ended; the exit code. */
export function finish(
  output: Output,
  summary: RunSummary & { readonly error: ErrorDocument | null },
): number {
  const { ok, changes, error } = summary;
  const document = error === null ? { receipts: summary.receipts, changes, ok } : summary;
  output.document(document, () =>
    ok
      ? `${changes === 0 ? 'Nothing to do.' : `${formatCounted(changes, 'change', 'changes')} applied and verified.`}\n`
      : `Failed after ${formatCounted(changes, 'change', 'changes')}.\n`,
  );
  if (error === null) return 0;
  if (!output.json) output.note(`millrace: ${error.message}\n  why: ${error.why}\n  try: ${error.remedy}`);
  return 1;
}
