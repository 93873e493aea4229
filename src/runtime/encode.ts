import { isObject, type Json, type JsonObject } from '../core/event.ts';
import type { ValueText } from '../core/record.ts';
import { isShared } from '../core/shared-object.ts';

/** The text that an event was read from: `bytes` from `from` to before `to`, one JSON object; and it as parsed. */
export interface Origin {
  readonly event: JsonObject;
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** Members in the bytes; absent where nobody counted. More than the object has: some have equal keys. */
  readonly memberCount?: number;
}

const CLOSE_BRACE = 0x7d;
const OPEN_BRACE = 0x7b;

const NO_BYTES = new Uint8Array(0);

/**
 * An event as one line of JSON, without the members whose value is null (the original's serialiser
 * drops them, and consumers rely on it); nulls inside arrays stay.
 *
 * Where the event only has members more than the object it was read from, they are added to the bytes that
 * came in: the rest stays as the client wrote it, to the digit, and is not made anew.
 */
export function encodeEvent(event: JsonObject, origin?: Origin): ValueText {
  if (origin === undefined || !findAdded(event, origin)) {
    return { head: NO_BYTES, from: 0, to: 0, tail: jsonOf(event) };
  }
  return splice(origin);
}

/** The text of an event that is made anew. */
export function jsonOf(event: JsonObject): string {
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
  const text = jsonOf(value as JsonObject);
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

/** Names and values of what the event at hand has and its origin has not, by turns. Ends with the call. */
const added: Json[] = [];

/** Gathers {@link added}; false where any other member was changed or removed. */
function findAdded(event: JsonObject, { event: base, memberCount }: Origin): boolean {
  added.length = 0;
  let keptCount = 0;
  for (const key in event) {
    const value = event[key];
    // Jobs copy what they change: the same value (for objects: the same object) is what was read.
    if (value !== undefined && value === base[key]) keptCount += 1;
    else if (base[key] !== undefined) return false;
    else if (value !== undefined && value !== null) added.push(key, value);
  }
  // As many as the bytes have: then the object has no more, and no two of the bytes have equal names.
  return keptCount === (memberCount ?? membersOf(base));
}

function membersOf(object: JsonObject): number {
  let count = 0;
  for (const key in object) if (object[key] !== undefined) count += 1;
  return count;
}

/** What is added, in UTF-8: each member with a comma before it, then the brace that closes the object. */
interface KnownTail {
  readonly members: readonly Json[];
  readonly bytes: Uint8Array;
}

/**
 * The tails made last. Events of a batch have the time of its sync, its device and its user in common, so that what
 * jobs add to one is what they added to one before: the same objects, hence the same bytes.
 */
const knownTails: KnownTail[] = [];
const TAILS_MAX = 16;
const TAIL_BYTES_MAX = 64 * 1024;
let oldestTail = 0;

function tailOfAdded(): Uint8Array {
  const known = knownTails.find(isTailOfAdded);
  if (known !== undefined) return known.bytes;
  let text = '';
  for (let i = 0; i < added.length; i += 2)
    text += `,${quoted(added[i] as string)}:${valueText(added[i + 1]!)}`;
  const bytes = Buffer.from(`${text}}`, 'utf8');
  if (bytes.length > TAIL_BYTES_MAX) return bytes;
  knownTails[oldestTail] = { members: [...added], bytes };
  oldestTail = (oldestTail + 1) % TAILS_MAX;
  return bytes;
}

function isTailOfAdded({ members }: KnownTail): boolean {
  if (members.length !== added.length) return false;
  // From the end: what was added last differs most often.
  for (let i = members.length - 1; i >= 0; i--) if (members[i] !== added[i]) return false;
  return true;
}

/** Puts what is added before the closing brace of the origin's bytes. */
function splice({ bytes, from, to }: Origin): ValueText {
  if (added.length === 0) return { head: bytes, from, to, tail: '' };
  let end = to - 1;
  while (bytes[end] !== CLOSE_BRACE) end -= 1;
  let last = end - 1;
  while (bytes[last]! <= 0x20) last -= 1;
  const tail = tailOfAdded();
  return { head: bytes, from, to: end, tail: bytes[last] === OPEN_BRACE ? tail.subarray(1) : tail };
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
