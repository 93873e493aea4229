import type { Json } from '../core/event.ts';

/** End of the year 9999: what the archive's dates and ISO texts of four-digit years can hold. */
const TIME_MS_MAX = 253_402_300_799_999;

const ISO_WITH_MS = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})(?:Z|([+-]\d\d):?(\d\d))?$/;

/** Epoch ms of a number, or of a text of digits, between 1970 and 9999, cut to whole ms; else undefined. */
export function timeMsOf(value: Json | undefined): number | undefined {
  const timeMs = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof timeMs !== 'number' || !(timeMs >= 0 && timeMs <= TIME_MS_MAX)) return undefined;
  return Math.trunc(timeMs);
}

/** ISO text in UTC with milliseconds, as in `@timestamp`. Takes what {@link timeMsOf} gives. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/**
 * Epoch ms of an ISO text with milliseconds, with `Z`, an offset (`+0530` or `+05:30`) or no zone (UTC).
 * Undefined for every other value: the two patterns that the original reads, and `Z`.
 */
export function parseIsoMs(value: Json | undefined): number | undefined {
  const match = typeof value === 'string' ? ISO_WITH_MS.exec(value) : null;
  if (match === null) return undefined;
  const zone = match[2] === undefined ? 'Z' : `${match[2]}:${match[3]}`;
  const timeMs = Date.parse(`${match[1]}${zone}`);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** The last millisecond of the UTC day. */
export function endOfDayMs(nowMs: number): number {
  const DAY_MS = 86_400_000;
  return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS - 1;
}

/** So many calendar months earlier, UTC, the day of the month cut to the month's last: May 31 - 3 is Feb 28 or 29. */
export function monthsBeforeMs(nowMs: number, months: number): number {
  const time = new Date(nowMs);
  const day = time.getUTCDate();
  time.setUTCMonth(time.getUTCMonth() - months, 1);
  const lastDay = new Date(time);
  lastDay.setUTCMonth(lastDay.getUTCMonth() + 1, 0);
  return time.setUTCDate(Math.min(day, lastDay.getUTCDate()));
}
