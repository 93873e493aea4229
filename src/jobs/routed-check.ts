import { type TelemetryEvent, withMetadata } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Rejected, SchemaRegistry } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import { checkWithoutNulls } from './nulls.ts';
import { emission, type Fault, rejected } from './outcomes.ts';

const PROCESSED = share({ dv_processed: true });
const FAILED = share({ dv_processed: false, dv_validation_failed: true });

/** Counters of the last check, all 0; the original's names. */
export const CHECK_COUNTS = { validation_success_message_count: 0, validation_failed_message_count: 0 };

/**
 * Holds a denormalised event against the schema of where it goes: the event with its flag, or the reject.
 * Source: druid-events-validator of the original.
 */
export function checkRouted(
  event: TelemetryEvent,
  key: string | null,
  { schemas, counts }: { readonly schemas: SchemaRegistry; readonly counts: typeof CHECK_COUNTS },
): { readonly event: TelemetryEvent } | Rejected {
  const checked = checkWithoutNulls(event, routed => schemas.validateRouted(routed));
  if (checked.answer === null) {
    counts.validation_success_message_count += 1;
    return { event: withFlags(checked.event, PROCESSED) };
  }
  counts.validation_failed_message_count += 1;
  const { pointer, message } = checked.answer;
  return rejectRouted(event, key, { code: 'ERR_SCHEMA_VIOLATION', reason: message, pointer });
}

/** Sets an event aside as the original's last job does, with the pointer as the error. */
export function rejectRouted(event: TelemetryEvent, key: string | null, fault: Fault): Rejected {
  const flagged = withFlags(event, FAILED);
  const failed = withMetadata(flagged, { dv_error: fault.pointer, src: 'DruidValidator' });
  return rejected(fault, emission('telemetry.failed', key, failed));
}
