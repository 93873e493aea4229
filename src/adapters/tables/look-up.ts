import type { Json } from '../../core/event.ts';

const PAGE_ROWS = 100;
const PAGE_ROWS_MAX = 1000;

/** What names a row, as values of its key's columns: topic, partition, offset and, of duplicates, event_index. */
export type Position = readonly (string | number)[];

/** How many rows a page has: 100 where nothing is asked for, 1000 at most. */
export function pageRows(limit: number | undefined): number {
  return Math.min(Math.max(1, Math.trunc(limit ?? PAGE_ROWS)), PAGE_ROWS_MAX);
}

/**
 * `<topic>:<partition>:<offset>`, with `:<index>` where `isIndexed`; undefined for anything else and for numbers
 * that the columns cannot hold (INTEGER has 32 bits in PostgreSQL).
 */
export function parsePosition(text: string, isIndexed = false): Position | undefined {
  const [, topic, partition, offset, index] =
    /^([^:]+):(\d{1,9}):(\d{1,16})(?::(\d{1,9}))?$/.exec(text) ?? [];
  if (topic === undefined || (index !== undefined) !== isIndexed) return undefined;
  const position = [topic, Number(partition), Number(offset)];
  return index === undefined ? position : [...position, Number(index)];
}

/** A bound of times as the column can be compared with it: received times are whole milliseconds. */
export function wholeMs(timeMs: number): number {
  const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
  return Math.min(Math.max(Math.ceil(timeMs), MIN_SAFE_INTEGER), MAX_SAFE_INTEGER);
}

/** A record's value as it was, or its text where it is not JSON. */
export function jsonOrText(raw: string): Json {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}
