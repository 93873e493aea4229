/** Where a run may die: before and after everything it makes durable. */
const FAILPOINTS = [
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

/** They come once a run, with its record. */
const ONCE = ['operations.beforeRecord', 'operations.afterRecord'];

/** Each of them in turn, so that none is left out; at which of its passings is drawn: `name:index`. */
export function killPoint(round: number, dice: () => number, passingsMax: number): string {
  const name = FAILPOINTS[round % FAILPOINTS.length]!;
  return `${name}:${ONCE.includes(name) ? 0 : Math.floor(dice() * passingsMax)}`;
}

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
