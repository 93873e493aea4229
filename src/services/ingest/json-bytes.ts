/** The bytes that give JSON its shape. */
export const BYTE = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  openArray: 0x5b,
  backslash: 0x5c,
  closeArray: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
} as const;

/** Index of the quote that ends the text begun by the quote at `at`; the length or more where none does. */
export function endOfText(json: Uint8Array, at: number): number {
  let end = at + 1;
  while (end < json.length && json[end] !== BYTE.quote) end += json[end] === BYTE.backslash ? 2 : 1;
  return end;
}
