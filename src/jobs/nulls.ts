import { isObject, type Json, type TelemetryEvent } from '../core/event.ts';

/** Deeper members are left as they are, so that no nesting exhausts the stack; ingest refuses it long before. */
const DEPTH_MAX = 1000;

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

/** The event without the members that are null, as the original's serialiser leaves it; itself where it has none. */
export function dropNulls(event: TelemetryEvent): TelemetryEvent {
  return hasNull(event, 0) ? Object.fromEntries(bareMembers(event, 0)) : event;
}

function hasNull(value: Json | undefined, depth: number): boolean {
  if (depth > DEPTH_MAX) return false;
  if (Array.isArray(value)) return value.some(element => element !== null && hasNull(element, depth + 1));
  if (!isObject(value)) return value === null;
  for (const key in value) if (hasNull(value[key], depth + 1)) return true;
  return false;
}

/** Nulls inside arrays stay: they hold a place. */
function withoutNulls(value: Json, depth: number): Json {
  if (depth > DEPTH_MAX) return value;
  if (Array.isArray(value)) return value.map(element => withoutNulls(element, depth + 1));
  return isObject(value) ? Object.fromEntries(bareMembers(value, depth)) : value;
}

function bareMembers(object: TelemetryEvent, depth: number): readonly [string, Json][] {
  const members: [string, Json][] = [];
  for (const [key, value] of Object.entries(object)) {
    if (value !== null && value !== undefined) members.push([key, withoutNulls(value, depth + 1)]);
  }
  return members;
}
