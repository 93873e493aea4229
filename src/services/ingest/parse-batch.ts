import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject, valueAt } from '../../core/event.ts';
import { BYTE, endOfText } from './json-bytes.ts';
import { findRootArrays, type RootArray } from './root-arrays.ts';

/** How large a batch may be. */
export interface BatchLimits {
  /** Deepest nesting of arrays and objects; the batch itself is 1. */
  readonly depthMax: number;
  readonly eventsMax: number;
}

/** A batch that was read: its text without a byte order mark, and what it says. */
export interface Batch {
  /** UTF-8 JSON of one object; the memory is the body's. */
  readonly text: Buffer;
  /** What it says but for its events: of each array in it there is the number of elements alone. */
  readonly value: JsonObject;
  readonly eventCount: number;
}

/**
 * Reads a request's body as a batch: one JSON object with an array `events`, which may be empty. Events are
 * not looked at. A byte order mark is skipped, as the original's body parser did.
 *
 * Elements of the batch's arrays are not made values: events cost one pass over their bytes and no memory, and a
 * body that is refused for its depth or length costs two.
 * @returns the batch, or why it is refused
 */
export function parseBatch(body: Buffer, limits: BatchLimits): Batch | MillraceError {
  const text = withoutMark(body);
  if (text.length === 0) return new MillraceError('ERR_BODY_UNREADABLE', 'the body is empty');
  if (!isUtf8(text)) return new MillraceError('ERR_BODY_UNREADABLE', 'the bytes are not UTF-8');
  const { depthMax, eventsMax } = limits;
  const arrays = findRootArrays(text, { depthMax, elementsMax: eventsMax });
  if (arrays === null) return findExcess(text, limits) ?? notJson();
  const value: Json = JSON.parse(withoutElements(text, arrays));
  const events = valueAt(value, 'events');
  if (!isObject(value) || !Array.isArray(events)) {
    return new MillraceError('ERR_BODY_NO_EVENTS', whatWasFound(value));
  }
  return { text, value, eventCount: Number(events[0]) };
}

function withoutMark(body: Buffer): Buffer {
  const marked = body.length >= 3 && body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return marked ? body.subarray(3) : body;
}

/**
 * Refuses nesting past `depthMax` and any array in the batch itself longer than `eventsMax`; the text need not
 * be JSON. Iterative: a million open brackets cost forty steps.
 */
function findExcess(text: Buffer, limits: BatchLimits): MillraceError | null {
  const { depthMax, eventsMax } = limits;
  let depth = 0;
  // Commas of the array at depth 2 that is open now; an object there starts too low to matter.
  let commas = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === BYTE.quote) {
      at = endOfText(text, at);
    } else if (byte === BYTE.openObject || byte === BYTE.openArray) {
      if (++depth > depthMax) return new MillraceError('ERR_BODY_TOO_DEEP', `depth ${depth} at byte ${at}`);
      if (depth === 2) commas = byte === BYTE.openArray ? 0 : -text.length;
    } else if (byte === BYTE.closeObject || byte === BYTE.closeArray) {
      depth--;
    } else if (byte === BYTE.comma && depth === 2 && ++commas >= eventsMax) {
      return new MillraceError('ERR_BODY_TOO_MANY', `more than ${eventsMax} elements in one array`);
    }
  }
  return null;
}

/** No more than that: a parser's own words quote the body, which may hold personal data. */
function notJson(): MillraceError {
  return new MillraceError('ERR_BODY_UNREADABLE', 'the text is not JSON');
}

/** The text with the number of its elements in each of the arrays. */
function withoutElements(text: Buffer, arrays: readonly RootArray[]): string {
  let shell = '';
  let from = 0;
  for (const array of arrays) {
    shell += `${text.toString('utf8', from, array.from)}${array.count}`;
    from = array.to;
  }
  return shell + text.toString('utf8', from);
}

function whatWasFound(value: unknown): string {
  if (Array.isArray(value)) return 'the body is an array';
  if (!isObject(value)) return `the body is ${value === null ? 'null' : `a ${typeof value}`}`;
  return Object.hasOwn(value, 'events') ? 'events is not an array' : 'the object has no key events';
}
