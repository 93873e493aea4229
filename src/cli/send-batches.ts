import { setTimeout as sleep } from 'node:timers/promises';
import { isObject, type JsonObject } from '../core/event.ts';
import { ask, type Server } from './http-client.ts';

/** A batch to be sent as it is, and where it came from: line from 1; file null for made-up batches. */
export interface OutgoingBatch {
  readonly file: string | null;
  readonly line: number;
  readonly bytes: Uint8Array;
  /** Events in it; 0 where it cannot be read. */
  readonly events: number;
}

/** What the server said to one batch; `params` are those of its reply. */
export interface BatchResult {
  readonly file: string | null;
  readonly line: number;
  readonly status: number;
  readonly params: JsonObject;
}

/** The answer of `send`. `accepted` and `refused` count batches; events are those of all batches. */
export interface SendDocument {
  readonly files: number;
  readonly batches: number;
  readonly events: number;
  readonly accepted: number;
  readonly refused: number;
  /** By order of sending. Past 100,000 batches only the refused are listed, up to as many again. */
  readonly results: readonly BatchResult[];
}

/** Totals so far. */
export interface SendTotals {
  batches: number;
  events: number;
  accepted: number;
  refused: number;
  bytes: number;
}

/** How batches are sent. */
export interface SendOptions {
  /** Requests at once; with 1 the batches arrive in their order. */
  readonly concurrency: number;
  /** Called after each answer. */
  readonly onAnswer: (totals: SendTotals) => void;
}

const RESULTS_MAX = 100_000;
const ATTEMPTS_MAX = 8;
const WAIT_MS_MAX = 30_000;

/**
 * Sends batches to the ingest API. A server that is busy (503, 429) is asked again after the time it names,
 * up to eight times; then the batch counts as refused. Rejects with ERR_NOT_SERVING where nothing answers.
 */
export async function sendBatches(
  server: Server,
  batches: AsyncIterable<OutgoingBatch>,
  options: SendOptions,
): Promise<Omit<SendDocument, 'files'>> {
  const totals: SendTotals = { batches: 0, events: 0, accepted: 0, refused: 0, bytes: 0 };
  const results: { readonly order: number; readonly result: BatchResult }[] = [];
  const iterator = batches[Symbol.asyncIterator]();
  let order = 0;
  let failed = false;
  const work = async (): Promise<void> => {
    while (!failed) {
      const next = await iterator.next();
      if (next.done === true) return;
      const mine = order++;
      const result = await sendOne(server, next.value).catch(error => {
        failed = true;
        throw error;
      });
      count(totals, next.value, result);
      const isRefused = result.status !== 200;
      if (results.length < RESULTS_MAX || (isRefused && results.length < 2 * RESULTS_MAX)) {
        results.push({ order: mine, result });
      }
      options.onAnswer(totals);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  const { bytes: _, ...sums } = totals;
  return { ...sums, results: results.sort((a, b) => a.order - b.order).map(row => row.result) };
}

async function sendOne(server: Server, batch: OutgoingBatch): Promise<BatchResult> {
  for (let attempt = 1; ; attempt++) {
    const response = await ask(server, {
      method: 'POST',
      path: '/v1/telemetry',
      body: batch.bytes,
      anyStatus: true,
    });
    const text = await response.text();
    const isBusy = response.status === 503 || response.status === 429;
    if (!isBusy || attempt === ATTEMPTS_MAX) {
      return { file: batch.file, line: batch.line, status: response.status, params: paramsOf(text) };
    }
    const seconds = Number(response.headers.get('retry-after') ?? 1);
    await sleep(Math.min(Number.isFinite(seconds) ? seconds * 1000 : 1000, WAIT_MS_MAX));
  }
}

function paramsOf(text: string): JsonObject {
  let reply: unknown;
  try {
    reply = JSON.parse(text);
  } catch {
    return { err: 'not JSON', errmsg: text.slice(0, 200) };
  }
  return isObject(reply) && isObject(reply['params']) ? reply['params'] : {};
}

function count(totals: SendTotals, batch: OutgoingBatch, result: BatchResult): void {
  totals.batches += 1;
  totals.events += batch.events;
  totals.bytes += batch.bytes.length;
  if (result.status === 200) totals.accepted += 1;
  else totals.refused += 1;
}
