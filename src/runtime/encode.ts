import type { Json, JsonObject } from '../core/event.ts';
import { withoutNulls } from '../core/nulls.ts';
import type { ValueText } from '../core/record.ts';
import { isShared } from '../core/shared-object.ts';
import { replaceMembers } from './replace-members.ts';

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
 * Members that the event has more than the object it was read from are put at the end of the bytes that came in,
 * and those that it has otherwise are replaced in them: the rest stays as the client wrote it, to the digit, and is
 * not made anew. The value's memory may be overwritten by the next call.
 */
export function encodeEvent(event: JsonObject, origin?: Origin): ValueText {
  return (origin !== undefined && spliced(event, origin)) || whole(event);
}

function whole(event: JsonObject): ValueText {
  return { head: NO_BYTES, from: 0, to: 0, tail: jsonOf(event) };
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
/** Texts of the values that the event has for members of its origin, undefined for those that it has not. */
const changed = new Map<string, string | undefined>();

/** Gathers {@link added} and {@link changed}; false where the bytes may hold something else. */
function compare(event: JsonObject, { event: base, memberCount }: Origin): boolean {
  added.length = 0;
  changed.clear();
  let keptCount = 0;
  for (const key in event) {
    const value = event[key];
    // Jobs copy what they change: the same value (for objects: the same object) is what was read, but for nulls.
    if (value != null && value === base[key]) keptCount += 1;
    else if (base[key] !== undefined) changed.set(key, value == null ? undefined : valueText(value));
    else if (value !== undefined && value !== null) added.push(key, value);
  }
  // As many as the bytes have: then the object has no more, and no two of the bytes have equal names.
  return keptCount + changed.size === (memberCount ?? membersOf(base));
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

/** The origin's bytes with what is added before their closing brace; undefined where that would not be the event. */
function spliced(event: JsonObject, origin: Origin): ValueText | undefined {
  if (!compare(event, origin)) return undefined;
  const { bytes, from, to } = origin;
  if (changed.size > 0) {
    const head = replaceMembers({ bytes, from, to, texts: changed });
    return head && withAdded({ head, from: 0, to: head.length });
  }
  if (added.length === 0) return { head: bytes, from, to, tail: '' };
  let end = to - 1;
  while (bytes[end] !== CLOSE_BRACE) end -= 1;
  return withAdded({ head: bytes, from, to: end });
}

/** What is added, behind an object's text without its closing brace. */
function withAdded({ head, from, to }: Omit<ValueText, 'tail'>): ValueText {
  if (added.length === 0) return { head, from, to, tail: '}' };
  let last = to - 1;
  while (head[last]! <= 0x20) last -= 1;
  const tail = tailOfAdded();
  return { head, from, to, tail: head[last] === OPEN_BRACE ? tail.subarray(1) : tail };
}
