import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import type { PlanDocument, RunEvent, RunSummary } from '../../core/operation-documents.ts';
import { armFailpoint } from '../../observability/failpoint.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { formatCounted } from '../format.ts';
import { type OperationCall, operationCall } from '../operation-call.ts';
import type { Output } from '../output.ts';
import { refuseUnready } from '../preflight.ts';
import { runEventText } from '../run-event-text.ts';
import { savedPlan } from '../saved-plan.ts';
import { stopSignal } from '../stop-signal.ts';

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
    signal: stopSignal(),
    emit: event => tell(output, event),
  });
  await refuseUnready(called.settings, called.config);
  const request = { paths: called.paths, operations: called.operations, only: call.flag('only') };
  const summary = await opened.run(request, saved);
  return finish(output, summary);
}

function savedCall(call: Call, saved: PlanDocument | undefined): OperationCall {
  if (saved === undefined) return operationCall(call, call.args);
  const called = operationCall(call, saved.paths);
  if (saved.environment === called.settings.environment) {
    return called.jobs.length > 0 ? called : { ...called, jobs: saved.jobs };
  }
  throw new MillraceError('ERR_USAGE', `the plan is of ${saved.environment}`, {
    remedy: `millrace run FILE --env ${saved.environment}`,
  });
}

/** One line an event, for a person on standard output, for a script as JSON. */
export function tell(output: Output, event: RunEvent): void {
  output.document(event, () => `${runEventText(event)}\n`);
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
