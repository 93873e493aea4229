import type { RunEvent } from '../core/operation-documents.ts';

/** One event of a run as a line for a person, without a line end: its phase, then what it says. */
export function runEventText({ phase, operation, message }: RunEvent): string {
  const label = phase === 'progress' ? '' : phase;
  const isOfStep = phase === 'plan' || phase === 'apply';
  return `${label.padEnd(8)}${isOfStep ? `${operation}: ${message}` : message}`;
}
