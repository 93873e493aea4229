const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const DECIMAL = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A count with its thousands apart: `12,345`. */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** A count that fits a small place: `999`, `1.2k`, `4.5M`. */
export function formatShort(count: number): string {
  if (count < 1000) return COUNT.format(count);
  if (count < 999_950) return `${DECIMAL.format(count / 1000)}k`;
  if (count < 999_950_000) return `${DECIMAL.format(count / 1e6)}M`;
  return `${DECIMAL.format(count / 1e9)}G`;
}

/** Events a second: one decimal below ten, none above; `0` where nothing moves. */
export function formatRate(perSecond: number): string {
  if (perSecond < 0.05) return '0';
  return perSecond < 10 ? DECIMAL.format(perSecond) : COUNT.format(perSecond);
}

/** Bytes in the unit that keeps the number short, powers of 1024. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? COUNT.format(value) : DECIMAL.format(value)} ${units[unit]}`;
}

/** A span of time in its two largest units: `3 d 4 h`, `12 s`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** How long ago a time was, in words that do not change every second once they are old. */
export function formatAgo(timeMs: number, nowMs: number): string {
  const agoMs = nowMs - timeMs;
  if (agoMs < 1500) return 'now';
  if (agoMs < 60_000) return `${Math.round(agoMs / 1000)} s ago`;
  if (agoMs < 3_600_000) return `${Math.round(agoMs / 60_000)} min ago`;
  return agoMs < 86_400_000 * 2
    ? `${Math.round(agoMs / 3_600_000)} h ago`
    : `${Math.round(agoMs / 86_400_000)} d ago`;
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });

/** A time in the viewer's zone: `14:03:22.123`, with the day before it where it is not the day of `nowMs`. */
export function formatTime(timeMs: number, nowMs: number): string {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) return String(timeMs);
  const time = `${TIME.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  const isToday = DAY.format(date) === DAY.format(nowMs);
  return isToday ? time : `${DAY.format(date)} ${time}`;
}

/** A time as ISO 8601 in UTC; the number itself where it is no date. */
export function formatUtc(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? String(timeMs) : date.toISOString();
}

/** The name of a topic without the environment before it. */
export function bareName(environment: string, topic: string): string {
  return topic.startsWith(`${environment}.`) ? topic.slice(environment.length + 1) : topic;
}
