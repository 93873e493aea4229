import type { ValueText } from '../../src/core/record.ts';

/** The value of a record as the log stores it. */
export function storedValue({ value }: { readonly value: ValueText }): Buffer {
  const { head, from, to, tail } = value;
  return Buffer.concat([head.subarray(from, to), typeof tail === 'string' ? Buffer.from(tail) : tail]);
}
