import { isObject, type JsonObject } from '../core/event.ts';
import { provenanceOf } from '../core/headers.ts';
import type { Emission, Item, Job } from '../core/job.ts';
import type { LogRecord } from '../core/record.ts';
import type { ChainInput, ChainOutput } from './chain.ts';
import { type JsonScan, scanJson } from './json-scan.ts';
import { readBatch } from './read-batch.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const anyBytes = new TextDecoder('utf-8');

/** A record as the chain takes it, or as it is set aside because it is not a JSON object. */
export type Decoded = { readonly input: ChainInput } | { readonly unreadable: ChainOutput };

/** Nested deeper than this, a record is not read: making its text again would exhaust the stack. */
const DEPTH_MAX = 500;

/**
 * Reads a record of one of the job's input topics. Records of a topic between jobs say in their headers where
 * their event came from; on the chain's own inputs the record is the source and its time is the event's now.
 *
 * @param topic  the record's topic without prefix
 */
export function decodeRecord(record: LogRecord, topic: string, job: Job): Decoded {
  const { source, receivedAtMs } = provenanceOf(record.headers);
  const item: Omit<Item, 'event'> = {
    topic,
    source: source ?? { topic, partition: record.partition, offset: record.offset, index: 0 },
    nowMs: receivedAtMs ?? record.timeMs,
  };
  const read = readObject(record.value, source === undefined);
  if (read === undefined)
    return { unreadable: setAside(record, item, job, 'the record is not a JSON object') };
  const { object: event, scan } = read;
  const whole = { event, bytes: record.value, from: markBytes(record.value), to: record.value.length };
  // What a job wrote holds no nulls and is no deeper than what it was read from.
  if (scan === undefined) return { input: { ...item, event, origin: whole } };
  if (scan.depthMax > DEPTH_MAX) {
    return { unreadable: setAside(record, item, job, `the record is nested deeper than ${DEPTH_MAX}`) };
  }
  const { events } = event;
  const { elements } = scan;
  // Elements that are no containers were passed by: nobody says then which text is whose.
  const isEach = Array.isArray(events) && elements.length === 3 * events.length;
  const text = { sizeBytes: record.value.length, eventsWithNull: isEach ? scan.withNull : undefined };
  const input = { ...item, event, text, pieces: isEach ? { bytes: record.value, elements } : undefined };
  // Nulls are dropped on output, so the text cannot go out as it came in; from events `extract` drops them.
  return { input: scan.hasNull ? input : { ...input, origin: whole } };
}

/** Length of the byte order mark that a text begins with: reading passes it by, so what is spliced must not hold it. */
function markBytes(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/** A JSON object, of what a client sent with what its text tells; undefined where it is none. */
function readObject(
  bytes: Uint8Array,
  isSent: boolean,
): { readonly object: JsonObject; readonly scan?: JsonScan } | undefined {
  const batch = isSent ? readBatch(bytes) : undefined;
  if (batch !== undefined) return batch;
  const object = parseObject(bytes);
  if (object === undefined || !isSent) return object && { object };
  return { object, scan: scanJson(bytes) };
}

/** The value as a JSON object, or undefined where it is not UTF-8, not JSON or of another type. */
export function parseObject(value: Uint8Array): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(utf8.decode(value));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** What an unreadable record becomes: its bytes kept as text, exactly where they are UTF-8, else in base64 too. */
function setAside(record: LogRecord, item: Omit<Item, 'event'>, job: Job, reason: string): ChainOutput {
  const raw = anyBytes.decode(record.value);
  const isExact = Buffer.from(raw, 'utf8').equals(record.value);
  const event: JsonObject = {
    raw,
    ...(isExact ? {} : { rawBase64: Buffer.from(record.value).toString('base64') }),
    flags: { ex_processed: false },
    metadata: { src: job.name, ex_error: reason },
  };
  const code = job.name === 'extract' ? 'ERR_BATCH_UNREADABLE' : 'ERR_RECORD_UNREADABLE';
  const emission: Emission = { topic: job.unreadableTopic, key: record.key, event };
  return {
    outcome: 'reject',
    ...emission,
    source: item.source,
    nowMs: item.nowMs,
    job: job.name,
    code,
    reason,
    pointer: null,
    isLeaving: true,
    isDerived: false,
    origin: undefined,
  };
}
