import { type Headers, parseSource, type Source } from './record.ts';

/**
 * Header names of records that jobs write. Sinks build their rows from these and never guess from the value.
 *
 * - `origin`: source, time of the input record (epoch ms) and job, with a blank between them: one header, as each
 *   costs four calls into the encoder for every record
 * - `code`, `reason`, `pointer`: why, on rejected and dropped events
 */
export const HEADER = {
  origin: 'origin',
  code: 'code',
  reason: 'reason',
  pointer: 'pointer',
  /** `1` on an input record whose value is not UTF-8 JSON (produced by an operator, never by ingest). */
  malformed: 'malformed',
} as const;

/** What the headers of a job's output say. */
export interface Provenance {
  readonly source: Source | undefined;
  readonly receivedAtMs: number | undefined;
  readonly job: string | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly pointer: string | undefined;
}

/** Why an event was rejected or dropped; all null where it was not. */
export interface Cause {
  readonly code: string | null;
  readonly reason: string | null;
  readonly pointer: string | null;
}

/** The headers of a job's output. */
export function headersOf(
  from: { readonly source: Source; readonly nowMs: number; readonly job: string },
  { code, reason, pointer }: Cause,
): Headers {
  const origin = `${placeText(from.source)}${from.source.index}${timeText(from)}`;
  if (code === null) return { origin };
  return {
    origin,
    code,
    ...(reason === null ? {} : { reason }),
    ...(pointer === null ? {} : { pointer }),
  };
}

// Neighbouring outputs come from one input record, by one job: what they share is made once.
let lastPlace: Source | undefined;
let lastPlaceText = '';

/** `topic:partition:offset:`, as {@link formatSource} begins. */
function placeText(source: Source): string {
  const { topic, partition, offset } = source;
  const isLast =
    lastPlace?.offset === offset && lastPlace.partition === partition && lastPlace.topic === topic;
  if (!isLast) {
    lastPlace = source;
    lastPlaceText = `${topic}:${partition}:${offset}:`;
  }
  return lastPlaceText;
}

let lastMs = Number.NaN;
let lastJob = '';
let lastTimeText = '';

function timeText({ nowMs, job }: { readonly nowMs: number; readonly job: string }): string {
  if (nowMs !== lastMs || job !== lastJob) {
    [lastMs, lastJob] = [nowMs, job];
    lastTimeText = ` ${nowMs} ${job}`;
  }
  return lastTimeText;
}

/** Reads a record's headers; absent ones are undefined. */
export function provenanceOf(headers: Headers): Provenance {
  const [source, receivedAtMs, job] = headers[HEADER.origin]?.split(' ') ?? [];
  return {
    source: parseSource(source),
    receivedAtMs: receivedAtMs === undefined ? undefined : Number(receivedAtMs),
    job,
    code: headers[HEADER.code],
    reason: headers[HEADER.reason],
    pointer: headers[HEADER.pointer],
  };
}
