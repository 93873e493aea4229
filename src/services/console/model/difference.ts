import type { Json } from '../../query/contract.ts';
import { escapeStep, type Mark } from './json-lines.ts';

/**
 * What the pipeline did to an event between the client and where it ended: fields that it added, and fields whose
 * value it changed, by JSON pointer. Lists are compared as a whole.
 */
export function differences(sent: Json, kept: Json): ReadonlyMap<string, Mark> {
  const marks = new Map<string, Mark>();
  const walk = (before: Json | undefined, after: Json, pointer: string): void => {
    if (before === undefined) {
      marks.set(pointer, 'added');
      return;
    }
    if (!isObject(before) || !isObject(after)) {
      if (JSON.stringify(before) !== JSON.stringify(after)) marks.set(pointer, 'changed');
      return;
    }
    for (const [name, value] of Object.entries(after)) {
      if (value === undefined) continue;
      walk(Object.hasOwn(before, name) ? before[name] : undefined, value, `${pointer}/${escapeStep(name)}`);
    }
  };
  walk(sent, kept, '');
  return marks;
}

function isObject(value: Json): value is { readonly [key: string]: Json | undefined } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
