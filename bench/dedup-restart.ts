import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Order, Said } from './dedup-restart-child.ts';
import type { Figure } from './figure.ts';
import type { BenchOptions } from './options.ts';

/** Minutes, and a gigabyte of memory. */
export const isLong = true;

const KEYS = 20_000_000;
/** Shares of the keys after which the process is killed, some moments later. */
const KILLS_AT = [0.15, 0.4, 0.65, 0.9];
const KILL_MS_MAX = 500;
/** Looked up after each kill: the last keys whose commit was answered, and as many that come later. */
const SAMPLE = 100_000;
/** More than one commit may be on its way when the process dies: those keys may be there or not. */
const IN_FLIGHT_MAX = 100_000;

/**
 * Keys, 20 million where `--keys` says nothing else, marked in the embedded state over the embedded log, by processes
 * that are killed at moments that nobody chose; then every key is looked up in another one, and as many that were
 * never marked. Only marks go through the log, so a snapshot is written more seldom than beside a chain.
 */
export async function run({ keys = KEYS }: BenchOptions): Promise<readonly Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const opened: { openMs: number; count: number }[] = [];
  let markedTo = 0;
  const startedMs = performance.now();
  /** One process; killed once it has marked `killAt` keys, where that is given. Answers what it found at its end. */
  const live = async (order: Partial<Order>, killAt?: number) => {
    const nothing = { markFrom: 0, markTo: 0, seenFrom: 0, seenTo: 0, unseenFrom: 0, unseenTo: 0 };
    const child = start({ directory, keys, ...nothing, ...order });
    let found = { missing: 0, invented: 0, lookUpMs: 0, memoryBytes: 0 };
    let isKilled = false;
    child.on('message', (said: Said) => {
      if ('openMs' in said) opened.push(said);
      else if ('missing' in said) found = said;
      else markedTo = said.markedTo;
      if (killAt === undefined || markedTo < killAt || isKilled) return;
      isKilled = true;
      void sleep(Math.random() * KILL_MS_MAX).then(() => child.kill('SIGKILL'));
    });
    // What it said last may come after it is gone.
    const [[code]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
    if (!isKilled && code !== 0) throw new Error(`the process ended with ${code}`);
    if (found.missing + found.invented > 0) throw new Error(`wrong answers: ${JSON.stringify(found)}`);
    return found;
  };
  try {
    for (const share of [...KILLS_AT, undefined]) {
      const killAt = share === undefined ? undefined : keys * share;
      await live({ markFrom: markedTo, markTo: keys }, killAt);
      const later = Math.min(keys, markedTo + IN_FLIGHT_MAX);
      await live({
        seenFrom: Math.max(0, markedTo - SAMPLE),
        seenTo: markedTo,
        unseenFrom: later,
        unseenTo: later + SAMPLE,
      });
    }
    const markedMs = performance.now() - startedMs;
    const { lookUpMs, memoryBytes } = await live({ seenTo: keys, unseenFrom: keys, unseenTo: 2 * keys });
    const last = opened.at(-1)!;
    const openMs = opened.filter(({ count }) => count > 0.8 * keys).map(one => one.openMs);
    return [
      { name: 'keys marked, each found; as many others, none', value: last.count, unit: '' },
      { name: 'processes killed', value: KILLS_AT.length, unit: '' },
      {
        name: 'marked and committed, kills and starts included',
        value: keys / (markedMs / 1000),
        unit: '/s',
      },
      { name: 'looked up', value: (2 * keys) / (lookUpMs / 1000), unit: '/s' },
      { name: 'memory per key', value: memoryBytes / last.count, unit: 'bytes', goal: { atMost: 40 } },
      {
        name: 'disk per key, snapshot',
        value: (await bytesIn(join(directory, 'state'))) / last.count,
        unit: 'bytes',
        goal: { atMost: 40 },
      },
      { name: 'longest start with 80 % of the keys and more', value: Math.max(...openMs), unit: 'ms' },
      { name: 'start after a clean end', value: last.openMs, unit: 'ms' },
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}

function start(order: Order): ChildProcess {
  return fork(join(import.meta.dirname, 'dedup-restart-child.ts'), [JSON.stringify(order)]);
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async name => (await stat(join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
