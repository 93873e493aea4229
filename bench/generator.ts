import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { benchBatch } from './corpus.ts';

/** What the generator was asked for, as JSON in its first argument. */
interface Order {
  readonly port: number;
  readonly connections: number;
  readonly eventsPerRequest: number;
  readonly isGzip: boolean;
  /** From the first request that may count to the last. */
  readonly durationMs: number;
  /** Requests a second over all connections; absent: as fast as answers come. */
  readonly rate?: number;
}

/**
 * What is sent until one of them is reached is not counted: until some ten thousand requests the generator itself is
 * compiled, anew and anew, and its own pauses of 10 to 60 ms would be the server's p99.
 */
const SETTLE_REQUESTS = 15_000;
const SETTLE_MS = 2_500;

const order = JSON.parse(process.argv[2]!) as Order;
const requests = Array.from({ length: 64 }, (_, i) =>
  requestOf(benchBatch(i * 1000, order.eventsPerRequest)),
);
const startedMs = performance.now();
let countedFromMs = Number.POSITIVE_INFINITY;
const latenciesMs: number[] = [];
let accepted = 0;
let counted = 0;
let refused = 0;
let issued = 0;

await Promise.all(Array.from({ length: order.connections }, drive));
latenciesMs.sort((a, b) => a - b);
const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? 0;
const seconds = (performance.now() - countedFromMs) / 1000;
process.stdout.write(
  JSON.stringify({ perSecond: counted / seconds, accepted, refused, p50Ms: at(0.5), p99Ms: at(0.99) }),
);

function requestOf(batch: Buffer): Buffer {
  const body = order.isGzip ? gzipSync(batch, { level: 1 }) : batch;
  const encoding = order.isGzip ? 'content-encoding: gzip\r\n' : '';
  const head =
    `POST /v1/telemetry HTTP/1.1\r\nhost: 127.0.0.1:${order.port}\r\ncontent-type: application/json\r\n` +
    `${encoding}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** One connection: a request, its whole answer, the next. With a rate, waiting for a turn counts as latency. */
function drive(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect(order.port, '127.0.0.1');
  let sentMs = 0;
  let answer = '';
  const send = () => {
    const nowMs = performance.now();
    if (nowMs >= countedFromMs + order.durationMs) return void socket.end();
    const isSettled = issued >= SETTLE_REQUESTS || nowMs >= startedMs + SETTLE_MS;
    if (isSettled) countedFromMs = Math.min(countedFromMs, nowMs);
    const dueMs = order.rate === undefined ? nowMs : startedMs + (issued / order.rate) * 1000;
    const request = requests[issued++ % requests.length]!;
    const waitMs = dueMs - nowMs;
    sentMs = dueMs;
    if (waitMs > 1) setTimeout(() => socket.write(request), waitMs);
    else socket.write(request);
  };
  socket.setNoDelay(true);
  socket.on('connect', send);
  socket.on('data', chunk => {
    answer += chunk.toString('latin1');
    const bodyAt = answer.indexOf('\r\n\r\n') + 4;
    const length = /content-length: (\d+)/i.exec(answer)?.[1];
    if (bodyAt < 4 || length === undefined || answer.length < bodyAt + Number(length)) return;
    const isAccepted = answer.startsWith('HTTP/1.1 200');
    if (isAccepted) accepted += 1;
    else refused += 1;
    if (sentMs >= countedFromMs) {
      latenciesMs.push(performance.now() - sentMs);
      if (isAccepted) counted += 1;
    }
    answer = '';
    send();
  });
  socket.on('close', () => resolve());
  socket.on('error', reject);
  return promise;
}
