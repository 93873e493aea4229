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
  return parseUs(texts, events, cpuUs);
}

/**
 * The same while another thread parses too, of this thread alone: what a thread costs depends on what the other core
 * does, where the two are threads of one. It is what the pipeline's threads, all busy, compare with.
 */
export async function busyParseFloorUs(texts: readonly Uint8Array[], events: number): Promise<number> {
  const other = new Worker(new URL('./busy-core.ts', import.meta.url));
  await once(other, 'message');
  try {
    return parseUs(texts, events, threadCpuUs);
  } finally {
    await other.terminate();
  }
}

function threadCpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Best of three. */
function parseUs(texts: readonly Uint8Array[], events: number, readUs: () => number): number {
  const decoder = new TextDecoder();
  const rounds = [1, 2, 3].map(() => {
    const startedUs = readUs();
    for (const text of texts) JSON.parse(decoder.decode(text));
    return (readUs() - startedUs) / events;
  });
  return Math.min(...rounds);
}

/** Whether a figure keeps its goal; undefined where it has none. */
export function keepsGoal({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}

/** The middle one of numbers of one unit, of which there is at least one; of an even count the upper middle. */
export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
