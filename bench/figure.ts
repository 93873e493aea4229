import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** One measured number. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: 'us' | '/s' | 'ratio' | 'bytes' | 'ms' | '';
  /** What the figure is held against, in the same unit; absent where it only informs. */
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number };
}

/** CPU time of this process so far, all threads, microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU of parsing each text once, per event, microseconds: the floor of everything that reads JSON. Best of three. */
export function parseFloorUs(texts: readonly Uint8Array[], events: number): number {
  const rounds = [1, 2, 3].map(() => parseAllUs(texts) / events);
  return Math.min(...rounds);
}

/**
 * The same while a second thread parses too: what it costs with two cores at work, as a pipeline has them. Where both
 * share what they calculate with, that is nearly twice as much.
 */
export async function parseFloorBusyUs(texts: readonly Uint8Array[], events: number): Promise<number> {
  const other = new Worker(PARSE_FOR_EVER, { eval: true, workerData: texts.slice(0, TEXTS_OF_THE_OTHER) });
  await once(other, 'message');
  const us = parseFloorUs(texts, events);
  await other.terminate();
  return us;
}

const TEXTS_OF_THE_OTHER = 100;
const PARSE_FOR_EVER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const decoder = new TextDecoder();
  const parse = () => { for (const text of workerData) JSON.parse(decoder.decode(text)); };
  parse();
  parentPort.postMessage('at work');
  for (;;) parse();`;

/** CPU of this thread, microseconds. */
function parseAllUs(texts: readonly Uint8Array[]): number {
  const decoder = new TextDecoder();
  const started = process.threadCpuUsage();
  for (const text of texts) JSON.parse(decoder.decode(text));
  const { user, system } = process.threadCpuUsage(started);
  return user + system;
}

/** Whether a figure keeps its goal; undefined where it has none. */
export function keepsGoal({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}
