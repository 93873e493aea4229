import type { ErrorCode } from '../core/errors.ts';
import { didOf, type JsonObject, type TelemetryEvent } from '../core/event.ts';
import type { Dropped, Emission, Emitted, Rejected, Verdict } from '../core/job.ts';
import type { TopicName } from '../core/topics.ts';

const NO_EMISSIONS: readonly Emission[] = [];

/** Why an event is set aside: code, plain words, and the JSON pointer of the field at fault or null. */
export interface Fault {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly pointer: string | null;
}

/** The partition key of every topic up to the last job: the device, null where the event names none. */
export function deviceKey(event: TelemetryEvent): string | null {
  return didOf(event) ?? null;
}

/** An event bound for a declared topic. */
export function emission(topic: TopicName, key: string | null, event: JsonObject): Emission {
  return { topic, key, event };
}

/** The outcome of an event that goes on to one topic or, as copies, to several. */
export function emitted(...emissions: readonly Emission[]): Emitted {
  return { kind: 'emit', emissions };
}

/** The outcome of an event that is set aside on the topic of the emission. */
export function rejected(fault: Fault, kept: Emission): Rejected {
  return { kind: 'reject', ...fault, emission: kept };
}

/** The outcome of an event that is discarded on purpose; `kept` null where it reaches no topic. */
export function dropped(code: ErrorCode, reason: string, kept: Emission | null): Dropped {
  return { kind: 'drop', code, reason, emission: kept };
}

/** The verdict on an item that held one event. */
export function verdict(
  outcome: Emitted | Rejected | Dropped,
  derived: readonly Emission[] = NO_EMISSIONS,
): Verdict {
  return { outcomes: [outcome], derived };
}

/** The counters that moved, which is what a job reports of a batch. */
export function movedCounters(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
