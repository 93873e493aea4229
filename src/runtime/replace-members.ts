const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Larger objects are made anew: the memory for the others is kept. */
const BYTES_MAX = 256 * 1024;

let memory = Buffer.allocUnsafe(4096);

/** A JSON object in `bytes` from `from` to before `to`, and the members of it that are to say something else. */
export interface Replacing {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** By name: the JSON text of the new value, undefined for a member that goes. */
  readonly texts: ReadonlyMap<string, string | undefined>;
}

/**
 * The object's text with these values in place of its own, without its closing brace: `{"a":1` or `{`. The memory is
 * that of the next call too. Undefined where the members cannot be told: a name has an escape or a letter beyond
 * ASCII, or one is not there exactly once.
 * @param replacing  its bytes are known to be JSON
 */
export function replaceMembers({ bytes, from, to, texts }: Replacing): Buffer | undefined {
  let room = to - from + 1;
  for (const [name, text] of texts) room += 6 + 3 * (name.length + (text?.length ?? 0));
  if (room > BYTES_MAX) return undefined;
  if (memory.length < room) memory = Buffer.allocUnsafe(2 * room);
  memory[0] = OPEN_BRACE;
  let length = 1;
  let found = 0;
  let at = skipSpace(bytes, skipSpace(bytes, from) + 1);
  while (bytes[at] === QUOTE) {
    const end = endOfMember(bytes, at);
    const name = nameAt(bytes, at);
    if (name === undefined) return undefined;
    if (texts.has(name)) {
      found += 1;
      const text = texts.get(name);
      if (text !== undefined) length += memory.write(`${length > 1 ? ',' : ''}"${name}":${text}`, length);
    } else {
      if (length > 1) memory[length++] = COMMA;
      length += copy.call(bytes, memory, length, at, end);
    }
    at = bytes[end] === COMMA ? skipSpace(bytes, end + 1) : end;
  }
  return found === texts.size ? memory.subarray(0, length) : undefined;
}

const { copy, toString: latin1 } = Buffer.prototype;

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at]! <= SPACE) at += 1;
  return at;
}

/** Where the comma or the brace after the member stands. */
function endOfMember(bytes: Uint8Array, from: number): number {
  let depth = 0;
  for (let i = from; ; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      for (let inner = bytes[++i]!; inner !== QUOTE; inner = bytes[i]!) i += inner === BACKSLASH ? 2 : 1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (depth === 0) return i;
      depth -= 1;
    } else if (byte === COMMA && depth === 0) return i;
  }
}

/** The name that stands there; undefined where its bytes are not what it says. */
function nameAt(bytes: Uint8Array, at: number): string | undefined {
  let end = at + 1;
  for (; bytes[end] !== QUOTE; end++) if (bytes[end] === BACKSLASH || bytes[end]! > 0x7f) return undefined;
  return latin1.call(bytes, 'latin1', at + 1, end);
}
