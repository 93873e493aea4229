import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseJsonObject } from '../core/event.ts';
import type { RunEvent } from '../core/operation-documents.ts';

/** Logs that are kept; older ones go when a new one begins. */
const LOGS_MAX = 50;

/** Keeps the events of one run as JSON lines, for `logs` and for who looks while it goes on. */
export interface RunLog {
  add(event: RunEvent): void;
}

/** Begins a log with the first event that is not of an unchanged operation. */
export function openRunLog(folder: string): RunLog {
  let file: string | undefined;
  return {
    add(event) {
      if (file === undefined && event.outcome === 'unchanged') return;
      if (file === undefined) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        for (const old of logFiles(folder).slice(0, -(LOGS_MAX - 1))) rmSync(old, { force: true });
        file = join(folder, `${event.timeMs}-${process.pid}.jsonl`);
      }
      appendFileSync(file, `${JSON.stringify(event)}\n`, { mode: 0o600 });
    },
  };
}

/** The logs of a folder, oldest first. */
export function logFiles(folder: string): readonly string[] {
  let names: readonly string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No run has left a log yet.
  }
  return names
    .filter(name => name.endsWith('.jsonl'))
    .sort()
    .map(name => join(folder, name));
}

/** The events of a log; a line that is being written, or that a full disk cut off, is left out. */
export function readRunLog(file: string): readonly RunEvent[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.flatMap(line => (parseJsonObject(line) as RunEvent | undefined) ?? []);
}
