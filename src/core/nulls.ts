import type { Json, JsonObject, TelemetryEvent } from './event.ts';

/** Deeper members are left as they are, so that no nesting exhausts the stack; ingest refuses it long before. */
const DEPTH_MAX = 1000;

/**
 * The event without the members that are null, as the original's serialiser leaves it; itself where it has none. What
 * holds none inside it stays the object that it was; a member of the event itself that was null is undefined.
 */
export function dropNulls(event: TelemetryEvent): TelemetryEvent {
  const changes = changesOf(event, 0);
  if (changes === undefined) return event;
  // A copy of the same layout in memory, which the jobs' code is compiled for: there what is absent is undefined.
  const bare: Record<string, Json | undefined> = { ...event };
  for (const [key, value] of changes) bare[key] = value;
  return bare as TelemetryEvent;
}

/** The members of an object that nulls are dropped from, as they are then; undefined where there are none. */
function changesOf(object: JsonObject, depth: number): Map<string, Json | undefined> | undefined {
  let changes: Map<string, Json | undefined> | undefined;
  // Three times as fast as for-in.
  for (const key of Object.keys(object)) {
    const member = object[key];
    const bare = withoutNulls(member, depth + 1);
    if (bare === member) continue;
    changes ??= new Map();
    changes.set(key, bare);
  }
  return changes;
}

/** The value without members that are null; nulls inside arrays stay: they hold a place. */
export function withoutNulls(value: Json | undefined, depth = 0): Json | undefined {
  if (value === null) return undefined;
  if (typeof value !== 'object' || depth > DEPTH_MAX) return value;
  if (Array.isArray(value)) return elementsOf(value, depth);
  const changes = changesOf(value as JsonObject, depth);
  if (changes === undefined) return value;
  const members = Object.entries(value).map(([key, member]): [string, Json | undefined] => [
    key,
    changes.has(key) ? changes.get(key) : member,
  ]);
  return Object.fromEntries(members.filter(([, member]) => member !== undefined));
}

function elementsOf(array: readonly Json[], depth: number): readonly Json[] {
  let bare: Json[] | undefined;
  for (let i = 0; i < array.length; i++) {
    const element = array[i]!;
    const kept = element === null ? null : withoutNulls(element, depth + 1)!;
    if (kept === element) continue;
    bare ??= [...array];
    bare[i] = kept;
  }
  return bare ?? array;
}
