/**
 * A time typed by a person as epoch milliseconds: either that number, or ISO 8601 as a date (its midnight UTC)
 * or a date and time, which without offset is UTC, whatever the machine's zone. Undefined where it is neither.
 */
export function parseTime(text: string): number | undefined {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  const iso = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (iso === null) return undefined;
  const timeMs = Date.parse(iso[1] !== undefined && iso[4] === undefined ? `${text}Z` : text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
