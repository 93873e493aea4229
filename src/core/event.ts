/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object; never mutated once it has been handed on: change by copying along the path. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A telemetry event or summary: one JSON object sent by a client or made by a job. */
export type TelemetryEvent = JsonObject;

/** Tells a JSON object from every other JSON value. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON object that a text is; undefined where it is another value, or no JSON. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The value where it is a string with at least one character, else undefined. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Walks objects key by key; undefined where a key is missing or a step is not an object. The keys are names of
 * ours, none that every object inherits: no look at own keys is needed. Up to three: a rest parameter in their
 * place cost 3 µs an event over the chain.
 */
export function valueAt(root: Json | undefined, a: string, b?: string, c?: string): Json | undefined {
  const value = isObject(root) ? root[a] : undefined;
  if (b === undefined) return value;
  const inner = isObject(value) ? value[b] : undefined;
  if (c === undefined) return inner;
  return isObject(inner) ? inner[c] : undefined;
}

/** The object at a path, or undefined where it is absent or of another type. */
export function objectAt(root: Json | undefined, a: string, b?: string, c?: string): JsonObject | undefined {
  const value = valueAt(root, a, b, c);
  return isObject(value) ? value : undefined;
}

/** The non-empty string at a path, or undefined. */
export function textAt(root: Json | undefined, a: string, b?: string, c?: string): string | undefined {
  return textOf(valueAt(root, a, b, c));
}

/** The event's type as sent: top-level `eid`. */
export function eidOf(event: TelemetryEvent): string | undefined {
  return textOf(event['eid']);
}

/** The event's id: top-level `mid`. */
export function midOf(event: TelemetryEvent): string | undefined {
  return textOf(event['mid']);
}

/** The device: `dimensions.did`, else `context.did` (stream-job getter of the original). */
export function didOf(event: TelemetryEvent): string | undefined {
  // Named here, not by `textAt`: every job asks, and one place that loads any name is slow at all of them.
  const { dimensions, context } = event;
  const did = isObject(dimensions) ? textOf(dimensions['did']) : undefined;
  return did ?? (isObject(context) ? textOf(context['did']) : undefined);
}

/** The user: top-level `uid`, else `actor.id`. */
export function actorIdOf(event: TelemetryEvent): string | undefined {
  const { uid, actor } = event;
  return textOf(uid) ?? (isObject(actor) ? textOf(actor['id']) : undefined);
}

/** `object.id` and `object.type`, only where both are non-empty strings. */
export function objectOf(event: TelemetryEvent): { readonly id: string; readonly type: string } | undefined {
  const { object } = event;
  if (!isObject(object)) return undefined;
  const id = textOf(object['id']);
  const type = textOf(object['type']);
  return id !== undefined && type !== undefined ? { id, type } : undefined;
}

/** A copy of the event whose `metadata` also holds the given entries. */
export function withMetadata(event: TelemetryEvent, metadata: JsonObject): TelemetryEvent {
  return { ...event, metadata: { ...objectAt(event, 'metadata'), ...metadata } };
}
