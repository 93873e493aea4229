import type { Host } from './host.ts';

/** What a step acts through; made by whoever runs it. */
export interface StepContext {
  readonly host: Host;
  /** Told what is going on, a line at a time; holds no secret. */
  progress(line: string): void;
  /** Aborted where the run is cancelled: a step ends at its next safe place. */
  readonly signal: AbortSignal;
}

/** What a step changes, as data: what a plan prints and what `run` does. */
export interface Change {
  /** Names the step within its operation: `jars`, `broker-config`. */
  readonly step: string;
  /** One line for the operator, in the imperative: `write the broker's configuration`. */
  readonly what: string;
  /** The state that was observed, null for absent; secrets appear as `(secret)`. */
  readonly before: string | null;
  /** The state it will have, null for removed. */
  readonly after: string | null;
}

/**
 * One change that is still to be made. Plans hold only these: nothing to do is an empty plan. `apply` may be cut
 * off anywhere; planning again then finds what is left.
 */
export interface Step extends Change {
  /** Of an undo: it takes nothing that the serving process uses, so it may be done beside it. */
  readonly whileServed?: boolean;
  apply(context: StepContext): Promise<void>;
}
