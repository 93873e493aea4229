import { isObject, type Json, type JsonObject } from '../core/event.ts';
import { isShared } from '../core/shared-object.ts';

/** The text that an event was read from: the bytes of one JSON object, and that object as parsed. */
export interface Origin {
  readonly event: JsonObject;
  readonly bytes: Uint8Array;
  /** Members in the bytes; absent where nobody counted. More than the object has: some have equal keys. */
  readonly memberCount?: number;
}

const CLOSE_BRACE = 0x7d;
const OPEN_BRACE = 0x7b;

/** The text of an event in two pieces: bytes that came in, and what is written after them. */
export interface EventText {
  readonly head: Uint8Array;
  readonly tail: string;
}

const NO_BYTES = new Uint8Array(0);

/**
 * An event as one line of UTF-8 JSON, without the members whose value is null (the original's serialiser
 * drops them, and consumers rely on it); nulls inside arrays stay.
 *
 * Where the event only has members more than the object it was read from, they are added to the bytes that
 * came in: the rest stays as the client wrote it, to the digit, and is not made anew.
 */
export function encodeEvent(event: JsonObject, origin?: Origin): EventText {
  const tail = origin === undefined ? undefined : addedText(event, origin);
  if (origin === undefined || tail === undefined) return { head: NO_BYTES, tail: textOf(event) };
  return splice(origin.bytes, tail);
}

function textOf(event: JsonObject): string {
  const text = JSON.stringify(event);
  // Nearly no event holds a null: the search costs a twentieth of building the text again. The same four
  // letters inside a string only cost that second pass.
  return text.includes(':null') ? JSON.stringify(withoutNulls(event)) : text;
}

/** Texts of shared objects, which are the same for many events. */
const sharedTexts = new WeakMap<object, string>();
/** Texts that are written as JSON again and again: names of members, the time of a batch. */
const quotedTexts = new Map<string, string>();
const QUOTED_TEXTS_MAX = 1024;
const QUOTED_UNITS_MAX = 64;

function valueText(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return JSON.stringify(withoutNulls(value));
  }
  const known = sharedTexts.get(value);
  if (known !== undefined) return known;
  const text = textOf(value as JsonObject);
  if (isShared(value)) sharedTexts.set(value, text);
  return text;
}

function quoted(text: string): string {
  if (text.length > QUOTED_UNITS_MAX) return JSON.stringify(text);
  let json = quotedTexts.get(text);
  if (json === undefined) {
    json = JSON.stringify(text);
    if (quotedTexts.size >= QUOTED_TEXTS_MAX) quotedTexts.clear();
    quotedTexts.set(text, json);
  }
  return json;
}

/**
 * The members that the event has and its origin has not, each with a comma before it; undefined where any other
 * was changed or removed.
 */
function addedText(event: JsonObject, { event: base, memberCount }: Origin): string | undefined {
  let added = '';
  let keptCount = 0;
  for (const key in event) {
    const value = event[key];
    // Jobs copy what they change: the same value (for objects: the same object) is what was read.
    if (value !== undefined && value === base[key]) keptCount += 1;
    else if (Object.hasOwn(base, key)) return undefined;
    else if (value !== undefined && value !== null) added += `,${quoted(key)}:${valueText(value)}`;
  }
  // As many as the bytes have: then the object has no more, and no two of the bytes have equal names.
  return keptCount === (memberCount ?? membersOf(base)) ? added : undefined;
}

function membersOf(object: JsonObject): number {
  let count = 0;
  for (const _ in object) count += 1;
  return count;
}

/** Puts members before the closing brace of a JSON object's bytes. */
function splice(bytes: Uint8Array, members: string): EventText {
  if (members === '') return { head: bytes, tail: '' };
  let end = bytes.length - 1;
  while (bytes[end] !== CLOSE_BRACE) end -= 1;
  let last = end - 1;
  while (bytes[last]! <= 0x20) last -= 1;
  const isEmpty = bytes[last] === OPEN_BRACE;
  return { head: bytes.subarray(0, end), tail: `${isEmpty ? members.slice(1) : members}}` };
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
