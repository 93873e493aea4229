/** How objects are compressed. */
export type Codec = 'zstd' | 'gzip';

/** What the name of an object says: which records it may hold, and which part of them it is. */
export interface ObjectName {
  /** The topic without the environment's prefix. */
  readonly dataset: string;
  /** UTC date of its records, `YYYY-MM-DD`, or `invalid`. */
  readonly date: string;
  readonly partition: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  /** 1..parts; all parts of a range, one per date, together hold its records. */
  readonly part: number;
  readonly parts: number;
  readonly codec: Codec;
}

const SUFFIX = { zstd: 'zst', gzip: 'gz' } as const;
const OFFSET_DIGITS = 20;
const NAME = /^([^/]+)\/(\d{4}-\d{2}-\d{2}|invalid)\/(\d+)\/(\d{20})-(\d{20})-(\d+)of(\d+)\.jsonl\.(zst|gz)$/;

/**
 * `<dataset>/<date>/<partition>/<fromOffset>-<toOffset>-<part>of<parts>.jsonl.zst` (or `.gz`); offsets have 20
 * digits, so names sort as offsets do. Range and parts are in the name so that a listing alone shows what is
 * missing.
 */
export function formatObjectName(name: ObjectName): string {
  const offset = (value: number): string => String(value).padStart(OFFSET_DIGITS, '0');
  const range = `${offset(name.fromOffset)}-${offset(name.toOffset)}-${name.part}of${name.parts}`;
  return `${name.dataset}/${name.date}/${name.partition}/${range}.jsonl.${SUFFIX[name.codec]}`;
}

/** Reads what {@link formatObjectName} wrote; undefined where the text is something else. */
export function parseObjectName(text: string): ObjectName | undefined {
  const match = NAME.exec(text);
  if (match === null) return undefined;
  return {
    dataset: match[1]!,
    date: match[2]!,
    partition: Number(match[3]),
    fromOffset: Number(match[4]),
    toOffset: Number(match[5]),
    part: Number(match[6]),
    parts: Number(match[7]),
    codec: match[8] === 'zst' ? 'zstd' : 'gzip',
  };
}
