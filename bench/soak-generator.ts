import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { benchBatch } from './corpus.ts';

/** What the process is asked for, as JSON in its first argument: until it is told to stop. */
export interface SoakOrder {
  /** Where batches go. */
  readonly url: string;
  readonly eventsPerSecond: number;
}

/** What it did so far. */
export interface SoakReport {
  /** Events whose batch was answered 200. */
  readonly accepted: number;
  /** Batches that were answered otherwise; each is sent again. */
  readonly refused: number;
  readonly acceptMsP50: number;
  readonly acceptMsP99: number;
}

const EVENTS_PER_BATCH = 100;
const IN_FLIGHT_MAX = 16;
const AGAIN_MS = 200;
/** Latencies that are kept: the last ones. */
const LATENCIES_MAX = 100_000;

const order = JSON.parse(process.argv[2]!) as SoakOrder;
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX });
const startedMs = performance.now();
const latenciesMs: number[] = [];
let accepted = 0;
let refused = 0;
let batches = 0;
let answers = 0;
let isStopping = false;

process.on('message', (message: 'report' | 'stop') => {
  if (message === 'report') process.send?.(report());
  else isStopping = true;
});
await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, send));
agent.destroy();
process.send?.(report());
process.disconnect();

/** One sender: the next batch when its turn has come, again until it is accepted. */
async function send(): Promise<void> {
  while (!isStopping) {
    const turn = batches++;
    const body = batchOf(turn);
    const waitMs = startedMs + (turn * EVENTS_PER_BATCH * 1000) / order.eventsPerSecond - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    while ((await post(body)) !== 200) {
      refused += 1;
      await sleep(AGAIN_MS);
    }
    accepted += EVENTS_PER_BATCH;
  }
}

/** Mids without order, as those that clients make. */
function batchOf(turn: number): Buffer {
  const text = benchBatch(turn * EVENTS_PER_BATCH, EVENTS_PER_BATCH).toString();
  const mid = (_: string, n: string) => `"mid":"${createHash('md5').update(n).digest('hex')}"`;
  return Buffer.from(text.replaceAll(/"mid":"bench-(\d+)"/g, mid));
}

function post(body: Buffer): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const sentMs = performance.now();
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const sent = request(order.url, { method: 'POST', agent, headers }, response => {
    response.resume();
    response.on('end', () => {
      latenciesMs[answers++ % LATENCIES_MAX] = performance.now() - sentMs;
      resolve(response.statusCode);
    });
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

function report(): SoakReport {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { accepted, refused, acceptMsP50: at(0.5), acceptMsP99: at(0.99) };
}
