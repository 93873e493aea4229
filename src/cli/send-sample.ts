import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../config/environment.ts';
import { MillraceError } from '../core/errors.ts';
import { findServer, readServing, type Server } from './http-client.ts';
import type { Output } from './output.ts';
import { sampleBatches } from './sample-events.ts';
import { type OutgoingBatch, sendBatches } from './send-batches.ts';

// What the client SDKs gather before they send.
const BATCH_EVENTS = 20;
const DEV_EVENTS_A_SECOND = 5;
const SERVING_MS_MAX = 60_000;
const SENDING_MS_MAX = 30_000;

/** How many made-up events, and how fast. */
export interface SamplePace {
  /** Events a second; infinite: as fast as they are taken. */
  readonly rate: number;
  /** Events in all; infinite: until the signal. */
  readonly count: number;
  readonly seed: number;
  /** Ends the batches; what was sent is answered for. */
  readonly signal: AbortSignal;
}

/** Made-up batches at a pace; at a low rate a batch is what one second brings. */
export async function* paceSamples(pace: SamplePace): AsyncGenerator<OutgoingBatch> {
  const batchEvents = Math.min(BATCH_EVENTS, Math.max(1, Math.floor(pace.rate)), pace.count);
  const startMs = Date.now();
  const samples = sampleBatches({ seed: pace.seed, batchEvents, nowMs: Date.now });
  let sent = 0;
  for (let line = 1; sent < pace.count && !pace.signal.aborted; line++) {
    const dueMs = startMs + (sent / pace.rate) * 1000;
    if (dueMs > Date.now() && !(await waitUntil(dueMs, pace.signal))) return;
    const batch = samples.next().value;
    const events = Array.isArray(batch?.events) ? batch.events.slice(0, pace.count - sent) : [];
    sent += events.length;
    const bytes = Buffer.from(JSON.stringify({ ...batch, events }));
    yield { file: null, line, bytes, events: events.length };
  }
}

/** Sends that many made-up events as fast as they are taken; resolves with how many were accepted. */
export async function sendSamples(server: Server, count: number): Promise<number> {
  const signal = AbortSignal.timeout(SENDING_MS_MAX);
  const samples = paceSamples({ rate: Number.POSITIVE_INFINITY, count, seed: randomInt(2 ** 31), signal });
  const sent = await sendBatches(server, samples, { concurrency: 1, onAnswer: () => undefined });
  const refused = sent.results.find(({ status }) => status !== 200);
  if (refused !== undefined) {
    throw new MillraceError('ERR_NOT_READY', `ingest answered ${refused.status} to made-up events`);
  }
  return sent.events;
}

/** Five made-up events a second to the server of this process, from when it serves until the signal. */
export async function sendSamplesWhileServing(
  settings: Settings,
  options: { readonly output: Output; readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  const deadlineMs = Date.now() + SERVING_MS_MAX;
  while (readServing(settings)?.pid !== process.pid) {
    if (Date.now() > deadlineMs || !(await waitUntil(Date.now() + 100, signal))) return;
  }
  const pace = {
    rate: DEV_EVENTS_A_SECOND,
    count: Number.POSITIVE_INFINITY,
    seed: randomInt(2 ** 31),
    signal,
  };
  try {
    await sendBatches(findServer({ ...settings, url: undefined }), paceSamples(pace), {
      concurrency: 1,
      onAnswer: () => undefined,
    });
  } catch (error) {
    // The service goes on without its samples; when it is going down, their end is no news.
    const why = error instanceof MillraceError ? error.why : String(error);
    if (!signal.aborted) options.output.note(`millrace: no more made-up events: ${why}`);
  }
}

/** Resolves true at the time, false when the signal comes first. */
async function waitUntil(timeMs: number, signal: AbortSignal): Promise<boolean> {
  return sleep(Math.max(0, timeMs - Date.now()), true, { signal }).catch(() => false);
}
