import { type TelemetryEvent, withFlags, withMetadata } from '../core/event.ts';
import type { Rejected, SchemaRegistry } from '../core/job.ts';
import { checkWithoutNulls } from './nulls.ts';
import { emission, type Fault, rejected } from './outcomes.ts';

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
    return { event: withFlags(checked.event, { dv_processed: true }) };
  }
  counts.validation_failed_message_count += 1;
  const { pointer, message } = checked.answer;
  return rejectRouted(event, key, { code: 'ERR_SCHEMA_VIOLATION', reason: message, pointer });
}

/** Sets an event aside as the original's last job does, with the pointer as the error. */
export function rejectRouted(event: TelemetryEvent, key: string | null, fault: Fault): Rejected {
  const flagged = withFlags(event, { dv_processed: false, dv_validation_failed: true });
  const failed = withMetadata(flagged, { dv_error: fault.pointer, src: 'DruidValidator' });
  return rejected(fault, emission('telemetry.failed', key, failed));
}
