import type { Host } from '../../core/host.ts';

const LAST_LINES_MAX = 20;

/** What processes said last, to stand at the end of an error; empty where they said nothing. */
export async function lastLinesOf(processes: readonly string[], host: Host): Promise<string> {
  const lines: string[] = [];
  for (const name of processes) lines.push(...(await host.lastLines(name, LAST_LINES_MAX)));
  return lines.length === 0 ? '' : `; it said last:\n    ${lines.join('\n    ')}`;
}
