/** A column of a table: its heading, and numbers to the right. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** An integer with thousands separators: `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A count with its noun: `1 batch`, `1,234 batches`. */
export function formatCounted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Epoch milliseconds as ISO 8601 UTC; the number itself where it is no date. */
export function formatTime(timeMs: number): string {
  return Number.isFinite(timeMs) && Math.abs(timeMs) <= 8.64e15
    ? new Date(timeMs).toISOString()
    : String(timeMs);
}

/** A duration in its two largest units: `3d 4h`, `5m 2s`, `120ms`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const first = units.findIndex(([, sizeMs]) => durationMs >= sizeMs);
  let restMs = durationMs;
  return units
    .slice(first, first + 2)
    .map(([unit, sizeMs]) => {
      const count = Math.floor(restMs / sizeMs);
      restMs -= count * sizeMs;
      return `${count}${unit}`;
    })
    .join(' ');
}

/** Bytes in the largest unit that leaves at least one whole: `1.5 MiB`. */
export function formatBytes(sizeBytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = sizeBytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/**
 * A text that is safe to show on a terminal: control characters, which could move the cursor or recolour the
 * screen, become visible escapes. Telemetry is written by strangers.
 */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * An aligned table without frame: headings, then rows; columns two blanks apart, no blanks at line ends.
 * Returns text that ends with a line end; `none` where there are no rows.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  none = '(none)',
): string {
  if (rows.length === 0) return `${none}\n`;
  const cells = [columns.map(column => column.title), ...rows.map(row => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...cells.map(row => (row[index] ?? '').length)));
  const lines = cells.map(row =>
    columns
      .map((column, index) => {
        const cell = row[index] ?? '';
        return column.align === 'right' ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!);
      })
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** Names before values, aligned: one line each. */
export function formatPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return (
    pairs.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd()).join('\n') + '\n'
  );
}
