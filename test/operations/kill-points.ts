/** Where a run may die: before and after everything it makes durable. */
export const FAILPOINTS = [
  'operations.afterMark',
  'operations.beforeStep',
  'operations.afterStep',
  'operations.beforeVerify',
  'operations.afterVerify',
  'operations.beforeReceipt',
  'operations.afterReceipt',
  'operations.afterUnmark',
  'operations.beforeRecord',
  'operations.afterRecord',
  'receipts.half',
];

/** Mulberry32: the same seed, the same kills. */
export function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
