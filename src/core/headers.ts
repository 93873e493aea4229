import { type Headers, parseSource, type Source } from './record.ts';

/**
 * Header names of records that jobs write. Sinks build their rows from these and never guess from the value.
 *
 * - `source`: where the input event came from, as {@link parseSource} reads it
 * - `receivedAtMs`: when the input record was accepted
 * - `job`: the job that wrote the record
 * - `code`, `reason`, `pointer`: why, on rejected and dropped events
 */
export const HEADER = {
  source: 'source',
  receivedAtMs: 'receivedAtMs',
  job: 'job',
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

/** Reads a record's headers; absent ones are undefined. */
export function provenanceOf(headers: Headers): Provenance {
  const receivedAt = headers[HEADER.receivedAtMs];
  return {
    source: parseSource(headers[HEADER.source]),
    receivedAtMs: receivedAt === undefined ? undefined : Number(receivedAt),
    job: headers[HEADER.job],
    code: headers[HEADER.code],
    reason: headers[HEADER.reason],
    pointer: headers[HEADER.pointer],
  };
}
