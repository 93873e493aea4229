import { isObject, type Json, type JsonObject } from '../core/event.ts';

/** Bytes of the parts of a JSON text, exactly or at most. */
interface Measures {
  text(text: string): number;
  scalar(scalar: number | boolean | null): number;
}

/**
 * An upper bound that needs no text: a UTF-16 unit takes at most six bytes (as `\u0001`), the quotes two; the
 * longest number is `-1.7976931348623157e+308`.
 */
const BOUND: Measures = { text: text => 6 * text.length + 2, scalar: () => 24 };

/**
 * Whether a value's compact JSON, without the nulls that are dropped on output, is longer than `bytesMax`.
 * Most events are far below the limit: the bound decides for them, and texts are made and measured only near it.
 * Nesting of any depth is fine: nothing recurses.
 */
export function isJsonLongerThan(
  value: Json,
  bytesMax: number,
  byteLength: (text: string) => number,
): boolean {
  if (measure(value, bytesMax, BOUND) <= bytesMax) return false;
  const exact: Measures = {
    text: text => byteLength(JSON.stringify(text)),
    scalar: scalar => JSON.stringify(scalar).length,
  };
  return measure(value, bytesMax, exact) > bytesMax;
}

/** Bytes of the value's JSON; stops soon after `bytesMax` is passed. */
function measure(root: Json, bytesMax: number, measures: Measures): number {
  const containers: (readonly Json[] | JsonObject)[] = [];
  let bytes = 0;
  const add = (value: Json | undefined): void => {
    if (typeof value === 'string') bytes += measures.text(value);
    else if (typeof value === 'object' && value !== null) containers.push(value);
    else bytes += measures.scalar(value ?? null);
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
      bytes += measures.text(key) + 1;
      add(member);
    }
    bytes += Math.max(2, members + 1);
  }
  return bytes;
}
