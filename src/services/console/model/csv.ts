import type { Json } from '../../query/contract.ts';

/**
 * Rows as CSV (RFC 4180, with CRLF). A text that a spreadsheet would take for a formula gets an apostrophe before
 * it: events come from strangers, and `=HYPERLINK(…)` in a file that someone opens is theirs to run.
 */
export function toCsv(
  columns: readonly string[],
  rows: readonly Readonly<Record<string, Json | undefined>>[],
): string {
  const lines = [columns.map(cellOf), ...rows.map(row => columns.map(column => cellOf(row[column])))];
  return lines.map(cells => `${cells.join(',')}\r\n`).join('');
}

function cellOf(value: Json | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
