import type { ErrorCode } from '../../core/errors.ts';

/** Upper bounds of the latency buckets, ms, inclusive, ascending; one more bucket takes what is slower. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000,
];

/** What ingest counts; plain numbers, because they change with every request. Written by ingest alone. */
export interface IngestMeter {
  /** Requests that reached an ingest path, whatever the method. */
  requests: number;
  /** Batches answered 200, after they were durable. */
  accepted: number;
  /** Events in accepted batches. */
  events: number;
  /** Bytes of accepted records as stored. */
  storedBytes: number;
  /** Bytes of bodies as they came over the wire, refused ones included. */
  receivedBytes: number;
  /** Requests between their headers and their reply. */
  inFlight: number;
  /** Bodies held in memory now, bytes. */
  inFlightBytes: number;
  /** Refused requests by error code. */
  readonly refused: Map<ErrorCode, number>;
  /** Replies by latency: one count per bound, not cumulative, then the slower ones. */
  readonly latencyCounts: Float64Array;
  /** Sum of all latencies, ms. */
  latencyMsSum: number;
}

/** A meter at zero. */
export function createIngestMeter(): IngestMeter {
  return {
    requests: 0,
    accepted: 0,
    events: 0,
    storedBytes: 0,
    receivedBytes: 0,
    inFlight: 0,
    inFlightBytes: 0,
    refused: new Map(),
    latencyCounts: new Float64Array(LATENCY_BOUNDS_MS.length + 1),
    latencyMsSum: 0,
  };
}

/** Counts one reply that took `latencyMs` from the request's headers on. */
export function countLatency(meter: IngestMeter, latencyMs: number): void {
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS_MS.length && latencyMs > LATENCY_BOUNDS_MS[bucket]!) bucket++;
  meter.latencyCounts[bucket]! += 1;
  meter.latencyMsSum += latencyMs;
}
