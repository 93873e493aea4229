import { isObject, type Json, type JsonObject } from '../core/event.ts';

/**
 * An event as one line of UTF-8 JSON, without the members whose value is null (the original's serialiser
 * drops them, and consumers rely on it); nulls inside arrays stay.
 */
export function encodeEvent(event: JsonObject): Uint8Array {
  const text = JSON.stringify(event);
  // Nearly no event holds a null: the search costs a twentieth of building the text again. The same four
  // letters inside a string only cost that second pass.
  return Buffer.from(text.includes(':null') ? JSON.stringify(withoutNulls(event)) : text, 'utf8');
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept: Record<string, Json> = Object.create(null);
  for (const [key, member] of Object.entries(value)) {
    if (member !== null && member !== undefined) kept[key] = withoutNulls(member);
  }
  return kept;
}
