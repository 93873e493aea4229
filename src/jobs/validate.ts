import { type TelemetryEvent, withMetadata } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Item, Job, JobDeps, Verdict, Violation } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import { correct } from './corrections.ts';
import { deviceKey, emission, emitted, type Fault, movedCounters, rejected, verdict } from './outcomes.ts';

const FAILED = share({ pp_validation_processed: false });
const COUNTS = {
  validation_success_event_count: 0,
  validation_failed_event_count: 0,
  log_route_success_count: 0,
};

const NO_SCHEMA: Fault = {
  code: 'ERR_SCHEMA_NOT_FOUND',
  reason: 'Schema not found: eid looks incorrect, sending to failed',
  pointer: '/eid',
};

/**
 * Holds each event against the schema of its eid, then corrects and completes the valid ones. LOG leaves the chain
 * here: it is neither deduplicated nor denormalised.
 * Source: pipeline-preprocessor of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createValidate(deps: JobDeps): Job {
  return {
    name: 'validate',
    replaces: 'pipeline-preprocessor',
    does: 'Checks events against the schema of their eid, corrects ids and fills in defaults.',
    inputs: ['telemetry.raw', 'telemetry.log'],
    outputs: ['telemetry.valid', 'druid.events.log', 'telemetry.failed'],
    unreadableTopic: 'telemetry.failed',
    plan: () => ({ marks: [], rows: [] }),
    process(batch) {
      const counts = { ...COUNTS };
      const answers = deps.schemas.validateEvents(batch.map(({ event }) => event));
      const verdicts = batch.map((item, index) => settle(item, answers[index], { deps, counts }));
      return { verdicts, marks: [], counters: movedCounters(counts) };
    },
  };
}

function settle(
  { event, nowMs }: Item,
  violation: Violation | null | undefined,
  { deps, counts }: { readonly deps: JobDeps; readonly counts: typeof COUNTS },
): Verdict {
  if (violation !== null) {
    counts.validation_failed_event_count += 1;
    if (violation === undefined) return fail(event, NO_SCHEMA, NO_SCHEMA.reason);
    const { pointer, message } = violation;
    return fail(event, { code: 'ERR_SCHEMA_VIOLATION', reason: message, pointer }, pointer);
  }
  counts.validation_success_event_count += 1;
  const corrected = correct(event, deps.options.validate.channelDefault, nowMs);
  const isLog = corrected['eid'] === 'LOG';
  if (isLog) counts.log_route_success_count += 1;
  return verdict(
    emitted(emission(isLog ? 'druid.events.log' : 'telemetry.valid', deviceKey(corrected), corrected)),
  );
}

function fail(event: TelemetryEvent, fault: Fault, error: string): Verdict {
  const flagged = withFlags(event, FAILED);
  const failed = withMetadata(flagged, { validation_error: error, src: 'PipelinePreprocessor' });
  return verdict(rejected(fault, emission('telemetry.failed', deviceKey(event), failed)));
}
