import { signal } from '@preact/signals';
import type { PulseDocument } from '../../query/contract.ts';

/** `signedOut`: the cookie is gone or another one; `stopped`: nothing answers. */
export type Connection = 'connecting' | 'live' | 'stopped' | 'signedOut';

/** The last state that was heard of; null before the first. */
export const pulse = signal<PulseDocument | null>(null);
/** How it is heard of. */
export const connection = signal<Connection>('connecting');

/** One second as rates are made from: counts since the environment began, or since the process did. */
export interface Beat {
  readonly timeMs: number;
  readonly received: Readonly<Record<string, number>>;
  readonly rejected: number;
  readonly dropped: number;
  readonly accepted: number;
  readonly rssBytes: number;
  readonly latencyMsP99: number | null;
}

/** Five minutes of beats, oldest first. */
export const beats = signal<readonly Beat[]>([]);

const BEATS_MAX = 300;
/** Beats that a rate is taken over: one alone would jump with each batch. */
const RATE_BEATS = 5;
const AGAIN_MS = 2000;

/** Listens for as long as the page is open; starts again where the stream ends. */
export function listen(): void {
  const source = new EventSource('/v1/stream');
  source.onmessage = event => hear(JSON.parse(event.data));
  source.onerror = () => {
    source.close();
    void whyLost().then(why => {
      connection.value = why;
      setTimeout(listen, AGAIN_MS);
    });
  };
}

/** Events a second of a count, over the last seconds; 0 before there are two beats. */
export function rateOf(all: readonly Beat[], count: (beat: Beat) => number, end = all.length - 1): number {
  const last = all[end];
  const first = all[Math.max(0, end - RATE_BEATS)];
  if (last === undefined || first === undefined || last.timeMs <= first.timeMs) return 0;
  // A process that began again counts from zero.
  return Math.max(0, ((count(last) - count(first)) * 1000) / (last.timeMs - first.timeMs));
}

/** The rate at each beat, for a chart; null at the first, of which nothing is known. */
export function ratesOf(all: readonly Beat[], count: (beat: Beat) => number): readonly (number | null)[] {
  return all.map((_, index) => (index === 0 ? null : rateOf(all, count, index)));
}

function hear(document: PulseDocument): void {
  const rows = document.status.conservation;
  const sum = (pick: (row: (typeof rows)[number]) => number) =>
    rows.reduce((total, row) => total + pick(row), 0);
  const beat: Beat = {
    timeMs: document.timeMs,
    received: Object.fromEntries(rows.map(row => [row.job, row.received])),
    rejected: sum(row => row.rejected),
    dropped: sum(row => row.dropped),
    accepted: document.ingest.events,
    rssBytes: document.memory.rssBytes,
    latencyMsP99: document.ingest.latencyMsP99,
  };
  beats.value = [...beats.value.slice(1 - BEATS_MAX), beat];
  pulse.value = document;
  connection.value = 'live';
}

/** A stream tells no status; another request does. */
async function whyLost(): Promise<Connection> {
  try {
    const { status } = await fetch('/v1/jobs');
    return status === 401 ? 'signedOut' : 'connecting';
  } catch {
    return 'stopped';
  }
}
