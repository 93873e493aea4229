import type { Json, JsonObject } from './event.ts';

/**
 * Objects that many events hold: constants of a job, what a row of master data became. What is worked out from one
 * (its text, its union with another) may be kept for as long as it lives, and is worth keeping.
 */
const shared = new WeakSet<JsonObject>();
/** What {@link union} answered: first operand → second → union. */
const unions = new WeakMap<JsonObject, WeakMap<JsonObject, JsonObject>>();
const EMPTY = share({});

/** Says that an object, which is never mutated, will be part of many events. Returns it. */
export function share<T extends JsonObject>(object: T): T {
  shared.add(object);
  return object;
}

/** Whether {@link share} was told of the object. */
export function isShared(object: Json | undefined): object is JsonObject {
  return (
    typeof object === 'object' &&
    object !== null &&
    !Array.isArray(object) &&
    shared.has(object as JsonObject)
  );
}

/** `{ ...base, ...added }`; the same object, shared too, for the same two where both are shared. */
export function union(base: JsonObject | undefined, added: JsonObject): JsonObject {
  const first = base ?? EMPTY;
  const known = unions.get(first)?.get(added);
  if (known !== undefined) return known;
  const result = { ...first, ...added };
  if (!shared.has(first) || !shared.has(added)) return result;
  let byAdded = unions.get(first);
  if (byAdded === undefined) {
    byAdded = new WeakMap();
    unions.set(first, byAdded);
  }
  byAdded.set(added, share(result));
  return result;
}

/** A function of one object whose answers are kept for shared objects, for as long as these live. */
export function remembered<T extends JsonObject | undefined>(
  compute: (object: JsonObject) => T,
): (object: JsonObject) => T {
  const answers = new WeakMap<JsonObject, { readonly answer: T }>();
  return object => {
    const known = answers.get(object);
    if (known !== undefined) return known.answer;
    const answer = compute(object);
    if (shared.has(object)) answers.set(object, { answer });
    return answer;
  };
}
