import { isObject, type Json, type JsonObject } from '../core/event.ts';

/** The text that an event was read from: the bytes of one JSON object, and that object as parsed. */
export interface Origin {
  readonly event: JsonObject;
  readonly bytes: Uint8Array;
  /** Members in the bytes; absent where nobody counted. More than the object has: some have equal keys. */
  readonly memberCount?: number;
}

const CLOSE_BRACE = 0x7d;
const OPEN_BRACE = 0x7b;

/**
 * An event as one line of UTF-8 JSON, without the members whose value is null (the original's serialiser
 * drops them, and consumers rely on it); nulls inside arrays stay.
 *
 * Where the event only has members more than the object it was read from, they are added to the bytes that
 * came in: the rest stays as the client wrote it, to the digit, and is not made anew.
 */
export function encodeEvent(event: JsonObject, origin?: Origin): Uint8Array {
  const added = origin === undefined ? undefined : addedMembers(event, origin);
  if (origin !== undefined && added !== undefined) return splice(origin.bytes, membersText(added));
  return Buffer.from(textOf(event), 'utf8');
}

function textOf(event: JsonObject): string {
  const text = JSON.stringify(event);
  // Nearly no event holds a null: the search costs a twentieth of building the text again. The same four
  // letters inside a string only cost that second pass.
  return text.includes(':null') ? JSON.stringify(withoutNulls(event)) : text;
}

/** Members that hold a master data row's own object, the same for every event of that device, user or content. */
const SHARED = new Set(['devicedata', 'userdata', 'contentdata', 'collectiondata', 'l2data', 'dialcodedata']);
/** The texts of those objects, for as long as the cache keeps them. */
const sharedTexts = new WeakMap<object, string>();

/** The text of the object, braces included; texts of shared members are made once. */
function membersText(members: JsonObject): string {
  let text = '';
  for (const key in members) {
    const value = members[key];
    if (value === null || value === undefined) continue;
    text += `${text === '' ? '{' : ','}${JSON.stringify(key)}:${valueText(key, value)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function valueText(key: string, value: Json): string {
  if (!isObject(value)) return JSON.stringify(withoutNulls(value));
  if (!SHARED.has(key)) return textOf(value);
  const known = sharedTexts.get(value);
  if (known !== undefined) return known;
  const text = textOf(value);
  sharedTexts.set(value, text);
  return text;
}

/** The members that the event has and its origin has not; undefined where any other was changed or removed. */
function addedMembers(event: JsonObject, { event: base, memberCount }: Origin): JsonObject | undefined {
  const added: Record<string, Json | undefined> = {};
  let keptCount = 0;
  for (const key in event) {
    const value = event[key];
    // Jobs copy what they change: the same value (for objects: the same object) is what was read.
    if (value !== undefined && value === base[key]) keptCount += 1;
    else if (Object.hasOwn(base, key)) return undefined;
    else added[key] = value;
  }
  let baseCount = 0;
  for (const _ in base) baseCount += 1;
  return keptCount === baseCount && baseCount === (memberCount ?? baseCount) ? added : undefined;
}

/** Puts the members of a JSON object's text before the closing brace of another's bytes. */
function splice(bytes: Uint8Array, members: string): Uint8Array {
  if (members === '{}') return bytes;
  let end = bytes.length - 1;
  while (bytes[end] !== CLOSE_BRACE) end -= 1;
  let last = end - 1;
  while (bytes[last]! <= 0x20) last -= 1;
  const isEmpty = bytes[last] === OPEN_BRACE;
  const tail = isEmpty ? members.slice(1) : `,${members.slice(1)}`;
  const spliced = Buffer.allocUnsafe(end + Buffer.byteLength(tail, 'utf8'));
  spliced.set(bytes.subarray(0, end), 0);
  spliced.write(tail, end, 'utf8');
  return spliced;
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
