import { readFile } from 'node:fs/promises';

/** One process as /proc tells it. */
export interface ProcessStat {
  readonly pid: number;
  /** `R`, `S`, …; `Z` is a zombie: ended, but not yet collected by its parent. */
  readonly state: string;
  /** When it started, in clock ticks since the boot: tells two processes of one pid apart. */
  readonly startTicks: string;
  /** Its threads that have not ended; the first of them counts until the last has. */
  readonly threads: number;
}

/** Reads a line of /proc/PID/stat, there or kept in a file; undefined where it is not there or not whole. */
export async function readProcessStat(path: string): Promise<ProcessStat | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command's name in brackets and may hold spaces and brackets itself.
  const [, pid, rest] = /^(\d+) \(.*\) (.+)$/s.exec(text.trim()) ?? [];
  const fields = rest?.split(' ') ?? [];
  const [state] = fields;
  // Fields 22 and 20 of proc(5); the state is field 3.
  const startTicks = fields[19];
  if (pid === undefined || state === undefined || startTicks === undefined) return undefined;
  return { pid: Number(pid), state, startTicks, threads: Number(fields[17]) };
}

/**
 * A zombie or a process that is being buried has ended: it holds no file and no port, and its parent knows how. Not so
 * while other threads of it are still to end: its state is that of the first alone.
 */
export function isAlive({ state, threads }: ProcessStat): boolean {
  return (state !== 'Z' && state !== 'X') || threads > 1;
}
