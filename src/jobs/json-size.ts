import { isObject, type Json, type JsonObject } from '../core/event.ts';

/** Longest JSON text of a value that is no text and no container: `-1.7976931348623157e+308`. */
const SCALAR_BYTES_MAX = 24;

/** Deeper nesting is measured without recursion. */
const DEPTH_MAX = 100;

/**
 * Whether a value's compact JSON, without the nulls that are dropped on output, is longer than `bytesMax`.
 * Most events are far below the limit: a bound decides for them, and texts are made and measured only near it.
 */
export function isJsonLongerThan(
  value: Json,
  bytesMax: number,
  byteLength: (text: string) => number,
): boolean {
  return bytesAtMost(value, 0) > bytesMax && measure(value, bytesMax, byteLength) > bytesMax;
}

/** A bound that makes no text: a UTF-16 unit takes at most six bytes (as `\u0001`), the quotes two. */
function bytesAtMost(value: Json | undefined, depth: number): number {
  if (typeof value === 'string') return 6 * value.length + 2;
  if (typeof value !== 'object' || value === null) return SCALAR_BYTES_MAX;
  if (depth > DEPTH_MAX) return Number.POSITIVE_INFINITY;
  let bytes = 2;
  if (isObject(value)) {
    for (const key in value) bytes += 6 * key.length + 4 + bytesAtMost(value[key], depth + 1);
  } else {
    for (const element of value) bytes += 1 + bytesAtMost(element, depth + 1);
  }
  return bytes;
}

/** Bytes of the value's JSON; stops soon after `bytesMax` is passed. */
function measure(root: Json, bytesMax: number, byteLength: (text: string) => number): number {
  const containers: (readonly Json[] | JsonObject)[] = [];
  let bytes = 0;
  const add = (value: Json): void => {
    if (typeof value === 'object' && value !== null) containers.push(value);
    else bytes += byteLength(JSON.stringify(value));
  };
  add(root);
  for (let value = containers.pop(); value !== undefined && bytes <= bytesMax; value = containers.pop()) {
    if (!isObject(value)) {
      bytes += Math.max(2, value.length + 1);
      for (const element of value) add(element);
      continue;
    }
    let members = 0;
    for (const key in value) {
      const member = value[key];
      if (member === null || member === undefined) continue;
      members += 1;
      bytes += byteLength(JSON.stringify(key)) + 1;
      add(member);
    }
    bytes += Math.max(2, members + 1);
  }
  return bytes;
}
