import { isObject, type Json, type JsonObject } from '../core/event.ts';
import type { JsonScan } from './json-scan.ts';
import { KeptValues } from './kept-values.ts';

/** A batch as it was sent, and what its text told on the way: the same that `scanJson` finds. */
export interface ReadBatch {
  readonly object: JsonObject;
  readonly scan: JsonScan;
}

/**
 * Reads a batch as JSON.parse does, in one pass over its bytes that also finds where its events lie. What several
 * events say in the same bytes is one object in all of them, and all events that clients usually send have one
 * layout in memory, for which the jobs' code is compiled: members that are absent are there as undefined.
 *
 * Undefined where it is not a batch as clients usually write them: no JSON, names with escapes or said twice, an
 * element of `events` that is no object. That says nothing against it: it is to be read another way.
 */
export function readBatch(bytes: Uint8Array): ReadBatch | undefined {
  try {
    return new Reader(bytes).batch();
  } catch (error) {
    if (error === UNUSUAL) return undefined;
    throw error;
  }
}

/** Thrown where the text is to be read another way. */
const UNUSUAL = new Error('a batch to be read another way');

const utf8 = new TextDecoder('utf-8', { fatal: true });

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LETTER_N = 0x6e;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const ASCII_MAX = 0x7f;

/** Integers of at most so many digits are exact as numbers. */
const DIGITS_MAX = 15;

/** An event stands in an array in the batch. */
const EVENT_DEPTH = 3;

/** Members that clients send, in the order of {@link eventOf}. */
const NAMES = [
  'eid',
  'ets',
  'ver',
  'mid',
  'actor',
  'context',
  'object',
  'edata',
  'tags',
  'syncts',
  '@timestamp',
  'flags',
  'type',
] as const;

/** The indexes of {@link NAMES} by the length of the name. */
const BY_LENGTH: readonly (readonly number[])[] = Array.from({ length: 11 }, (_, length) =>
  NAMES.flatMap((name, index) => (name.length === length ? [index] : [])),
);
const NAME_BYTES: readonly Uint8Array[] = NAMES.map(name => Buffer.from(name));

/** What events have in common, or have one of few; the other members differ from event to event. */
const COMMON: ReadonlySet<string> = new Set(['eid', 'ver', 'actor', 'context', 'object', 'edata']);
const KEPT: readonly (KeptValues | undefined)[] = NAMES.map(name =>
  COMMON.has(name) ? new KeptValues() : undefined,
);

/** The values of the event at hand; its next reader overwrites them. */
const values: (Json | undefined)[] = NAMES.map(() => undefined);

/** An event with the members read last, and room for what jobs add: a copy with more members then is a plain copy. */
function eventOf(): JsonObject {
  return {
    eid: values[0],
    ets: values[1],
    ver: values[2],
    mid: values[3],
    actor: values[4],
    context: values[5],
    object: values[6],
    edata: values[7],
    tags: values[8],
    syncts: values[9],
    '@timestamp': values[10],
    flags: values[11],
    type: values[12],
    devicedata: undefined,
    userdata: undefined,
    contentdata: undefined,
    dialcodedata: undefined,
    collectiondata: undefined,
    l2data: undefined,
    derivedlocationdata: undefined,
  };
}

/** Reads one text from its first byte to its last. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #depthMax = 1;
  /** Where the last null was passed by; -1 before the first. */
  #nullAt = -1;
  /** Of the container passed last: its own depth, the members of an object, whether it is ASCII and holds a null. */
  #depth = 0;
  #members = 0;
  #isAscii = true;
  #holdsNull = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  batch(): ReadBatch {
    const batch: Record<string, Json> = {};
    let places: Pick<JsonScan, 'elements' | 'withNull'> = { elements: [], withNull: new Set() };
    this.#expect(OPEN_BRACE);
    if (!this.#isNext(CLOSE_BRACE)) {
      do {
        const name = this.#name();
        if (name === '__proto__' || Object.hasOwn(batch, name)) throw UNUSUAL;
        if (name === 'events' && this.#peek() === OPEN_BRACKET) {
          const { events, ...found } = this.#events();
          batch[name] = events;
          places = found;
        } else batch[name] = this.#value(2);
      } while (this.#isNext(COMMA));
      this.#expect(CLOSE_BRACE);
    }
    this.#skipSpace();
    if (this.#at !== this.#bytes.length) throw UNUSUAL;
    const scan = { ...places, depthMax: this.#depthMax, hasNull: this.#nullAt !== -1 };
    return { object: batch, scan };
  }

  #events() {
    const events: JsonObject[] = [];
    const elements: number[] = [];
    const withNull = new Set<number>();
    this.#expect(OPEN_BRACKET);
    this.#deepen(EVENT_DEPTH - 1);
    if (this.#isNext(CLOSE_BRACKET)) return { events, elements, withNull };
    do {
      if (this.#peek() !== OPEN_BRACE) throw UNUSUAL;
      const from = this.#at;
      const event = this.#event() ?? this.#otherEvent(from);
      if (this.#nullAt >= from) withNull.add(events.length);
      events.push(event);
      elements.push(from, this.#at, this.#members);
    } while (this.#isNext(COMMA));
    this.#expect(CLOSE_BRACKET);
    return { events, elements, withNull };
  }

  /** The event that begins here, and its number of members; undefined where it has others than {@link NAMES}. */
  #event(): JsonObject | undefined {
    values.fill(undefined);
    let seen = 0;
    let members = 0;
    this.#at += 1;
    this.#deepen(EVENT_DEPTH);
    if (!this.#isNext(CLOSE_BRACE)) {
      do {
        const index = this.#knownName();
        if (index === -1) return undefined;
        // Of two equal names the last counts: that is left to JSON.parse.
        if ((seen & (1 << index)) !== 0) throw UNUSUAL;
        seen |= 1 << index;
        members += 1;
        values[index] = this.#member(index);
      } while (this.#isNext(COMMA));
      this.#expect(CLOSE_BRACE);
    }
    this.#members = members;
    return eventOf();
  }

  #otherEvent(from: number): JsonObject {
    this.#at = from;
    this.#pass(EVENT_DEPTH);
    const event = this.#parse(from);
    if (!isObject(event)) throw UNUSUAL;
    return event;
  }

  #member(index: number): Json {
    this.#skipSpace();
    const from = this.#at;
    const kept = KEPT[index];
    const found = kept?.find(this.#bytes, from);
    if (found !== undefined) {
      this.#at = from + found.text.length;
      this.#deepen(EVENT_DEPTH + found.depth);
      return found.value;
    }
    const value = this.#value(EVENT_DEPTH + 1);
    if (kept === undefined) return value;
    // Only these say by themselves where they end.
    if (typeof value === 'string') kept.keep(this.#bytes.subarray(from, this.#at), value, 0);
    else if (isObject(value) && !this.#holdsNull) {
      kept.keep(this.#bytes.subarray(from, this.#at), value, this.#depth);
    }
    return value;
  }

  /** @param depth  of the value where it is a container */
  #value(depth: number): Json {
    const first = this.#peek();
    if (first === QUOTE) return this.#text();
    if (first >= ZERO && first <= NINE) return this.#number();
    const from = this.#at;
    if (first === OPEN_BRACE || first === OPEN_BRACKET) this.#pass(depth);
    else this.#passScalar();
    if (first === LETTER_N) this.#nullAt = from;
    return this.#parse(from);
  }

  /** The value from there to here: what was passed by is held against the rules of JSON only now. */
  #parse(from: number): Json {
    try {
      const bytes = this.#bytes;
      if (this.#isAscii) return JSON.parse(bytes.toString('latin1', from, this.#at)) as Json;
      return JSON.parse(utf8.decode(bytes.subarray(from, this.#at))) as Json;
    } catch {
      throw UNUSUAL;
    }
  }

  #text(): Json {
    const bytes = this.#bytes;
    const from = this.#at;
    let i = from + 1;
    let byte = bytes[i]!;
    while (byte !== QUOTE && byte >= SPACE && byte <= ASCII_MAX && byte !== BACKSLASH) byte = bytes[++i]!;
    if (byte === QUOTE) {
      this.#at = i + 1;
      return bytes.toString('latin1', from + 1, i);
    }
    while (byte !== QUOTE) {
      if (i >= bytes.length) throw UNUSUAL;
      i += byte === BACKSLASH ? 2 : 1;
      byte = bytes[i]!;
    }
    this.#at = i + 1;
    this.#isAscii = false;
    return this.#parse(from);
  }

  /** A number that begins with a digit. */
  #number(): Json {
    const bytes = this.#bytes;
    const from = this.#at;
    let i = from;
    let number = 0;
    let byte = bytes[i]!;
    while (byte >= ZERO && byte <= NINE) {
      number = number * 10 + byte - ZERO;
      byte = bytes[++i]!;
    }
    const isPlain = (bytes[from] !== ZERO || i === from + 1) && i - from <= DIGITS_MAX;
    this.#at = i;
    if (isPlain && (byte === COMMA || byte === CLOSE_BRACE)) return number;
    this.#passScalar();
    return this.#parse(from);
  }

  /** Passes by a container: texts whole, brackets by number only, as {@link #parse} sees to the rest. */
  #pass(depthOfIt: number): void {
    const bytes = this.#bytes;
    const end = bytes.length;
    let depth = 0;
    let depthMax = 0;
    let members = 0;
    let all = 0;
    let holdsNull = false;
    let i = this.#at;
    for (; i < end; i++) {
      const byte = bytes[i]!;
      if (byte === QUOTE) {
        for (let inner = bytes[++i]!; inner !== QUOTE; inner = bytes[i]!) {
          if (i >= end) throw UNUSUAL;
          all |= inner;
          i += inner === BACKSLASH ? 2 : 1;
        }
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth += 1;
        if (depth > depthMax) depthMax = depth;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
        if (depth === 0) break;
      } else if (byte === COLON) {
        if (depth === 1) members += 1;
      } else if (byte === LETTER_N) holdsNull = true;
      else all |= byte;
    }
    this.#at = i + 1;
    this.#depth = depthMax;
    this.#members = members;
    this.#isAscii = all <= ASCII_MAX;
    this.#holdsNull = holdsNull;
    if (holdsNull) this.#nullAt = this.#at;
    this.#deepen(depthOfIt - 1 + depthMax);
  }

  #passScalar(): void {
    const bytes = this.#bytes;
    let i = this.#at;
    while (i < bytes.length && bytes[i] !== COMMA && bytes[i] !== CLOSE_BRACE && bytes[i] !== CLOSE_BRACKET)
      i++;
    this.#at = i;
    this.#isAscii = false;
  }

  #deepen(depth: number): void {
    if (depth > this.#depthMax) this.#depthMax = depth;
  }

  /** The name of a member of the batch, and its colon. */
  #name(): string {
    if (this.#peek() !== QUOTE) throw UNUSUAL;
    const from = this.#at;
    const name = this.#text() as string;
    if (this.#at - from !== name.length + 2) throw UNUSUAL;
    this.#expect(COLON);
    return name;
  }

  /** The index of the name of a member of an event, after its colon; -1 where it is none of {@link NAMES}. */
  #knownName(): number {
    if (this.#peek() !== QUOTE) throw UNUSUAL;
    const bytes = this.#bytes;
    const from = this.#at + 1;
    let to = from;
    while (to < bytes.length && bytes[to] !== QUOTE) to++;
    const index = indexOfName(bytes, from, to);
    this.#at = to + 1;
    this.#expect(COLON);
    return index;
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    let byte = bytes[this.#at];
    while (byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.#at];
  }

  /** The next byte that is no space; 0 at the end. */
  #peek(): number {
    const byte = this.#bytes[this.#at]!;
    if (byte > SPACE) return byte;
    this.#skipSpace();
    return this.#bytes[this.#at] ?? 0;
  }

  #isNext(wanted: number): boolean {
    if (this.#peek() !== wanted) return false;
    this.#at += 1;
    return true;
  }

  #expect(wanted: number): void {
    if (!this.#isNext(wanted)) throw UNUSUAL;
  }
}

function indexOfName(bytes: Uint8Array, from: number, to: number): number {
  const candidates = BY_LENGTH[to - from];
  if (candidates === undefined) return -1;
  for (const index of candidates) {
    const name = NAME_BYTES[index]!;
    let i = 0;
    while (i < name.length && name[i] === bytes[from + i]) i++;
    if (i === name.length) return index;
  }
  return -1;
}
