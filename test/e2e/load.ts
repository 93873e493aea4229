import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../src/core/event.ts';
import type { Millrace } from './millrace.ts';

/** A small seeded generator (mulberry32): the same seed drives the same run. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What became of the events a {@link startLoad} sent. */
export interface LoadReport {
  /** mids whose batch was acknowledged, by the verdict they must get. */
  readonly valid: ReadonlySet<string>;
  readonly invalid: ReadonlySet<string>;
  /** mids of acknowledged valid events that came again in a later batch. */
  readonly repeated: ReadonlySet<string>;
  readonly batches: number;
  readonly resends: number;
}

/** A running load; `stop` waits until each batch begun is acknowledged. */
export interface Load {
  stop(): Promise<LoadReport>;
  /** Ends it whatever is acknowledged: for a test that failed and left the server dead. */
  abandon(): void;
}

/** Events of a batch where a test names none. */
const EVENTS_PER_BATCH = 10;
const SENDERS = 4;

/**
 * Sends batches until stopped, each again and again until it is acknowledged, as an SDK does: what was stored
 * but never acknowledged comes a second time and must be recognised.
 */
export function startLoad(millrace: Millrace, seed: number, batchEvents = EVENTS_PER_BATCH): Load {
  const random = createRandom(seed);
  const valid = new Set<string>();
  const invalid = new Set<string>();
  const repeated = new Set<string>();
  const counts = { batches: 0, resends: 0, next: 0 };
  let isStopping = false;
  let earlier: string | undefined;
  const abandoned = new AbortController();

  async function sender(): Promise<void> {
    while (!isStopping) {
      const batch = makeBatch(`${seed}-${counts.next++}`, random, { count: batchEvents, earlier });
      await sendUntilAcknowledged(millrace, batch.body, () => {
        abandoned.signal.throwIfAborted();
        counts.resends += 1;
      });
      for (const mid of batch.valid) valid.add(mid);
      earlier = batch.valid.at(-1) ?? earlier;
      for (const mid of batch.invalid) invalid.add(mid);
      for (const mid of batch.repeated) repeated.add(mid);
      counts.batches += 1;
    }
  }
  const senders = Array.from({ length: SENDERS }, sender);
  for (const running of senders) running.catch(() => {});
  return {
    abandon() {
      isStopping = true;
      abandoned.abort();
    },
    async stop() {
      isStopping = true;
      await Promise.all(senders);
      return { valid, invalid, repeated, batches: counts.batches, resends: counts.resends };
    },
  };
}

/** An event of the shape the portal sends; valid but for what `edata` says. */
export function anEvent(mid: string, edata: JsonObject): JsonObject {
  return {
    eid: 'IMPRESSION',
    ets: Date.now(),
    ver: '3.0',
    mid,
    actor: { id: 'user-1', type: 'User' },
    context: { channel: 'channel-1', env: 'home', did: 'device-1', pdata: { id: 'test.portal', ver: '1.0' } },
    edata,
  };
}

function makeBatch(
  id: string,
  random: () => number,
  { count, earlier }: { readonly count: number; readonly earlier: string | undefined },
) {
  const valid: string[] = [];
  const invalid: string[] = [];
  const repeated: string[] = [];
  const events = Array.from({ length: count }, (_, i) => {
    const mid = `${id}-${i}`;
    const edata = { type: 'view', pageid: 'home', uri: '/home' };
    if (random() < 0.1) {
      invalid.push(mid);
      return anEvent(mid, { ...edata, pageid: 7 });
    }
    if (earlier !== undefined && random() < 0.05) {
      repeated.push(earlier);
      return anEvent(earlier, edata);
    }
    valid.push(mid);
    return anEvent(mid, edata);
  });
  const body = JSON.stringify({ id: 'api.test', ver: '3.0', params: { msgid: `batch-${id}` }, events });
  return { body, valid, invalid, repeated };
}

async function sendUntilAcknowledged(millrace: Millrace, body: string, onResend: () => void): Promise<void> {
  // Ends with the acknowledgement, for the test that kills the server also starts it again, or with `onResend`.
  while (true) {
    try {
      const response = await fetch(`${await millrace.url()}/v1/telemetry`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      await response.arrayBuffer();
      if (response.status === 200) return;
    } catch {
      // The server is down: the same batch again.
    }
    onResend();
    await sleep(20);
  }
}
