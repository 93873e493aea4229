import type { Headers, NewRecord } from '../../../core/record.ts';
import type { NativeHeader, NativeProducer } from './native-client.ts';

/**
 * Header that carries `timeMs` where it is far from the time of writing, or no whole number. Kafka deletes by a
 * record's timestamp and refuses those too far ahead, so a timestamp must say when a record was written, about.
 */
const TIME_HEADER = 'timeMs';

const PAST_MS_MAX = 3_600_000;
const AHEAD_MS_MAX = 60_000;

/** Hands a record to the producer, which copies it. Throws what the producer says, a full queue among it. */
export function produceRecord(
  producer: NativeProducer,
  place: { readonly topic: string; readonly partition: number },
  record: NewRecord,
  sent: { readonly nowMs: number; readonly opaque: unknown },
): void {
  const { timeMs, value } = record;
  const isPlain =
    Number.isInteger(timeMs) && timeMs > sent.nowMs - PAST_MS_MAX && timeMs < sent.nowMs + AHEAD_MS_MAX;
  producer.produce(
    place.topic,
    place.partition,
    value instanceof Buffer ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    record.key === null ? null : textFor(record.key),
    isPlain ? timeMs : sent.nowMs,
    sent.opaque,
    headersFor(record.headers, isPlain ? undefined : timeMs),
  );
}

/** Collects the headers of a fetched record; the one that carries its time is none of them. */
export class HeaderReader {
  /** Ours: texts by name. */
  readonly all: Record<string, string> = {};
  timeMs: number | undefined;

  add(name: Buffer | null, value: Buffer | null): void {
    const key = name === null ? '' : name.toString('utf8');
    const text = value === null ? '' : value.toString('utf8');
    if (key === TIME_HEADER) this.timeMs = Number(text);
    // A plain assignment to `__proto__` would set the prototype.
    else if (key === '__proto__') Object.defineProperty(this.all, key, { value: text, ...OWN });
    else this.all[key] = text;
  }
}

/** Bytes that a record takes, about: what polls and queues are bounded by. */
export function bytesOf(record: { readonly value: Uint8Array | null }): number {
  return (record.value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
}

const RECORD_OVERHEAD_BYTES = 64;
const OWN = { enumerable: true, writable: true, configurable: true } as const;

function headersFor(headers: Headers, timeMs: number | undefined): NativeHeader[] | undefined {
  let list: NativeHeader[] | undefined;
  for (const name in headers) {
    const header = { [name]: textFor(headers[name]!) };
    if (list === undefined) list = [header];
    else list.push(header);
  }
  if (timeMs === undefined) return list;
  return [...(list ?? []), { [TIME_HEADER]: String(timeMs) }];
}

/** The client cuts texts at a NUL; bytes it takes as they are. */
function textFor(text: string): string | Buffer {
  return text.includes('\0') ? Buffer.from(text, 'utf8') : text;
}
