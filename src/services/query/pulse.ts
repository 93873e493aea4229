import { PassThrough, type Readable } from 'node:stream';
import type { Backend, PulseDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { type IngestMeter, LATENCY_BOUNDS_MS } from '../ingest/meter.ts';

/** Sends the state of the pipeline to everyone who listens, once a second. */
export interface Pulse {
  /** A new listener: server-sent events, the first at once. Throws ERR_OVERLOADED where there are too many. */
  listen(): Readable;
  /** Ends every listener and takes no more. */
  close(): void;
}

/** What the pulse is made from. */
export interface PulseOptions {
  readonly backend: Backend;
  readonly meter: IngestMeter;
  nowMs(): number;
  onBug(error: unknown): void;
}

/** Each listener costs one text of about 15 KB a second; a browser holds six at most to one address. */
const LISTENERS_MAX = 32;
const BEAT_MS = 1000;
/** A listener that is this far behind, bytes, has stopped reading and is ended. */
const UNREAD_BYTES_MAX = 512 * 1024;
/** Latency is told of this many beats back: a minute. */
const LATENCY_BEATS = 60;

/**
 * Makes the pulse. The pipeline is asked once a beat whatever the number of listeners, and not at all where
 * there is none. A beat that cannot be made is sent as a comment, which keeps the connection alive.
 */
export function createPulse(options: PulseOptions): Pulse {
  const listeners = new Set<PassThrough>();
  const latency = createLatencyWindow(options.meter);
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const beat = async (): Promise<void> => {
    const text = await beatText(options, latency);
    for (const listener of listeners) {
      if (listener.readableLength > UNREAD_BYTES_MAX) listener.destroy();
      else listener.write(text);
    }
    if (listeners.size > 0 && !isClosed) schedule(BEAT_MS);
    else timer = undefined;
  };
  const schedule = (delayMs: number): void => {
    timer = setTimeout(() => beat().catch(options.onBug), delayMs);
  };
  return {
    listen() {
      if (isClosed) throw new MillraceError('ERR_NOT_READY', 'the service is stopping');
      if (listeners.size >= LISTENERS_MAX) {
        throw new MillraceError('ERR_OVERLOADED', `${LISTENERS_MAX} listen to the stream already`);
      }
      const listener = new PassThrough({ highWaterMark: UNREAD_BYTES_MAX });
      listener.write('retry: 2000\n\n');
      listeners.add(listener);
      listener.once('close', () => listeners.delete(listener));
      clearTimeout(timer);
      schedule(0);
      return listener;
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const listener of listeners) listener.end();
    },
  };
}

async function beatText(options: PulseOptions, latency: LatencyWindow): Promise<string> {
  try {
    return `data: ${JSON.stringify(await pulseOf(options, latency))}\n\n`;
  } catch (error) {
    // A store that does not answer now may answer at the next beat; the listener shows how old its news is.
    if (!(error instanceof MillraceError)) throw error;
    return `: ${error.code}\n\n`;
  }
}

async function pulseOf(options: PulseOptions, latency: LatencyWindow): Promise<PulseDocument> {
  const { backend, meter } = options;
  const [status, { topics }, vitals] = await Promise.all([
    backend.status(),
    backend.topics(),
    backend.vitals(),
  ]);
  latency.note();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    ...vitals,
    timeMs: options.nowMs(),
    status,
    topics,
    ingest: {
      requests: meter.requests,
      batches: meter.accepted,
      events: meter.events,
      inFlight: meter.inFlight,
      refused: Object.fromEntries(meter.refused),
      latencyMsP50: latency.quantile(0.5),
      latencyMsP99: latency.quantile(0.99),
    },
    memory: { rssBytes: rss, heapUsedBytes: heapUsed },
  };
}

/** Quantiles of the answers between the oldest beat that is kept and the last one. */
interface LatencyWindow {
  note(): void;
  /** The upper bound of the bucket that the quantile lies in, ms; null where nothing was answered. */
  quantile(share: number): number | null;
}

function createLatencyWindow(meter: IngestMeter): LatencyWindow {
  const beats: Float64Array[] = [];
  return {
    note() {
      beats.push(Float64Array.from(meter.latencyCounts));
      if (beats.length > LATENCY_BEATS + 1) beats.shift();
    },
    quantile(share) {
      const [first, last] = [beats[0], beats.at(-1)];
      if (first === undefined || last === undefined) return null;
      const counts = last.map((count, bucket) => count - first[bucket]!);
      const wanted = counts.reduce((sum, count) => sum + count, 0) * share;
      if (wanted === 0) return null;
      let seen = 0;
      const bucket = counts.findIndex(count => {
        seen += count;
        return seen >= wanted;
      });
      return LATENCY_BOUNDS_MS[bucket] ?? LATENCY_BOUNDS_MS.at(-1)!;
    },
  };
}
