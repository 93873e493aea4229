import type { TelemetryEvent } from '../core/event.ts';
import { dropNulls } from '../core/nulls.ts';

/** An event as it was found to be, and what the check says of it. */
interface Checked<T> {
  readonly event: TelemetryEvent;
  readonly answer: T;
}

/**
 * Holds an event against a schema as its consumers will see it: members that are null are dropped on output, so
 * they count as absent. Only an event that fails is copied without them and checked once more.
 * @returns `answer` null: valid; the event is then the one that is
 */
export function checkWithoutNulls<T>(
  event: TelemetryEvent,
  check: (event: TelemetryEvent) => T | null,
): Checked<T | null> {
  const answer = check(event);
  if (answer === null) return { event, answer };
  const bare = dropNulls(event);
  return { event: bare, answer: bare === event ? answer : check(bare) };
}
