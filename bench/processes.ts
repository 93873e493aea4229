import { readdir, readFile, readlink } from 'node:fs/promises';

/** Clock ticks of the kernel's accounting, per second: USER_HZ, the same on every Linux. */
const TICKS_PER_S = 100;

/**
 * CPU time so far by what it went to, microseconds: this process, all that it started, and the servers, which whoever
 * brought them up has left running: they run in the data directory. Linux alone tells.
 */
export async function readCpu(dataDirectory: string): Promise<ReadonlyMap<string, number>> {
  const all = await Promise.all((await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(readProcess));
  const found = all.filter(entry => entry !== undefined);
  const servers = found.filter(({ folder }) => folder.startsWith(dataDirectory));
  const ours = new Set([process.pid, ...servers.map(({ pid }) => pid)]);
  // Ends: each turn adds a process.
  for (let size = 0; size < ours.size; ) {
    size = ours.size;
    for (const { pid, parent } of found) if (ours.has(parent)) ours.add(pid);
  }
  const sums = new Map<string, number>();
  for (const { pid, us, part } of found) if (ours.has(pid)) sums.set(part, (sums.get(part) ?? 0) + us);
  return sums;
}

/** CPU time between two of {@link readCpu}, for each event, microseconds, in the order of the later one. */
export function cpuPerEvent(
  [before, after]: readonly [ReadonlyMap<string, number>, ReadonlyMap<string, number>],
  events: number,
): readonly (readonly [part: string, us: number])[] {
  return [...after].map(([part, us]) => [part, (us - (before.get(part) ?? 0)) / events] as const);
}

async function readProcess(name: string) {
  try {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8');
    const argv = await readFile(`/proc/${name}/cmdline`, 'utf8');
    const folder = await readlink(`/proc/${name}/cwd`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const us = ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_S) * 1e6;
    return { pid: Number(name), parent: Number(fields[1]), us, folder, part: partOf(argv, Number(name)) };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function partOf(argv: string, pid: number): string {
  if (pid === process.pid) return 'this process';
  if (argv.includes('kafka.Kafka')) return 'the broker';
  if (argv.includes('redis-server')) return 'Redis';
  if (argv.includes('postgres')) return 'PostgreSQL';
  return (
    argv
      .split('\0')
      .find(word => /(worker|copier|reader|fetcher)\.ts$/.test(word))
      ?.replace(/^.*\//, '') ?? 'others'
  );
}
