/**
 * Cuts a body into its lines, without their line feeds; lines of nothing but white space are left out.
 * @returns number (1-based, blank ones counted) and bytes of each line; the memory is the body's
 */
export function linesOf(body: Buffer): { readonly number: number; readonly bytes: Buffer }[] {
  const lines: { number: number; bytes: Buffer }[] = [];
  let number = 0;
  for (let from = 0; from < body.length; ) {
    const lineFeedAt = body.indexOf(LINE_FEED, from);
    const to = lineFeedAt === -1 ? body.length : lineFeedAt;
    const bytes = body.subarray(from, to);
    number++;
    if (bytes.some(byte => byte > SPACE)) lines.push({ number, bytes });
    from = to + 1;
  }
  return lines;
}

const LINE_FEED = 0x0a;
const SPACE = 0x20;
