import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openEmbeddedState } from '../src/adapters/state/embedded-state.ts';
import { loadConfig } from '../src/config/load.ts';
import type { Mark, MarkKey } from '../src/core/job.ts';
import { createLogger } from '../src/observability/logger.ts';
import { openBenchLog } from './bench-log.ts';

/**
 * The embedded marks over the embedded log in a process of their own, which is asked for this as JSON in its first
 * argument: of the keys, which are numbers, [markFrom, markTo) are marked; then all of [seenFrom, seenTo) and of
 * [unseenFrom, unseenTo) are looked up.
 */
export interface Order {
  readonly directory: string;
  /** Keys of the whole run: the time of a mark follows from its share of them. */
  readonly keys: number;
  readonly markFrom: number;
  readonly markTo: number;
  readonly seenFrom: number;
  readonly seenTo: number;
  readonly unseenFrom: number;
  readonly unseenTo: number;
}

/** What it says: when it is open, after each commit, and what it found. */
export type Said =
  | { readonly openMs: number; readonly count: number }
  | { readonly markedTo: number }
  | {
      readonly missing: number;
      readonly invented: number;
      readonly lookUpMs: number;
      /** Of typed arrays, which the tables are. */
      readonly memoryBytes: number;
    };

const BATCH_KEYS = 4_000;
const T0_MS = 1_718_000_000_000;

const order = JSON.parse(process.argv[2]!) as Order;
const environmentsDirectory = join(import.meta.dirname, '../environments');
const { config } = loadConfig({ environment: 'local', environmentsDirectory, env: {}, sets: [] });
const logger = createLogger('warn', 'bench');
const startedMs = performance.now();
const log = await openBenchLog(join(order.directory, 'log'), {
  topic: 'local.telemetry.unique',
  config,
  logger,
});
const state = await openEmbeddedState({
  directory: join(order.directory, 'state'),
  ttlMs: config['dedup.ttlMs'],
  marksFrom: position => log.marksFrom(position),
  keepFrom: position => log.keepFrom('dedup', position),
  warn: (message, fields) => logger.warn(fields, message),
});
const openMs = performance.now() - startedMs;
say({ openMs, count: state.count });
await mark(order.markFrom, order.markTo);
const lookUpMs = performance.now();
const missing = order.seenTo - order.seenFrom - (await countSeen(order.seenFrom, order.seenTo));
const invented = await countSeen(order.unseenFrom, order.unseenTo);
const memoryBytes = process.memoryUsage().arrayBuffers;
say({ missing, invented, lookUpMs: performance.now() - lookUpMs, memoryBytes });
await state.close();
await log.close();
process.disconnect();

/** As the runner does: marks become durable with the commit, and only then does the state hear of it. */
async function mark(from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += BATCH_KEYS) {
    const end = Math.min(to, at + BATCH_KEYS);
    const marks = await state.mark(Array.from({ length: end - at }, (_, i) => markOf(at + i)));
    const { position } = await log.commit({ appends: [], marks });
    await state.committed(position);
    say({ markedTo: end });
  }
}

async function countSeen(from: number, to: number): Promise<number> {
  let count = 0;
  for (let at = from; at < to; at += BATCH_KEYS) {
    const keys = Array.from({ length: Math.min(BATCH_KEYS, to - at) }, (_, i) => keyOf(at + i));
    for (const sighting of await state.seen(keys)) if (sighting !== undefined) count += 1;
  }
  return count;
}

function keyOf(n: number): MarkKey {
  return { space: 'event', key: `IMPRESSION:${n.toString(16).padStart(32, '0')}` };
}

/** The marks are spread over nine tenths of the time to live: all of them still count at the end. */
function markOf(n: number): Mark {
  const timeMs = T0_MS + Math.floor((n / order.keys) * 0.9 * config['dedup.ttlMs']);
  return {
    ...keyOf(n),
    source: { topic: 'local.telemetry.ingest', partition: 0, offset: n, index: 0 },
    timeMs,
  };
}

function say(message: Said): void {
  process.send?.(message);
}
