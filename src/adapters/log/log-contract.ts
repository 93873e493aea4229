import type { MessagePort } from 'node:worker_threads';
import type { MillraceError } from '../../core/errors.ts';
import type { Log, TopicSpec } from '../../core/ports.ts';

/** The marks one commit carried, and where that commit ended. */
export interface CommittedMarks {
  /** {@link CommitResult.position} of the commit; commits written together share one. */
  readonly position: number;
  readonly marks: Uint8Array;
}

/** A log whose commits can be read again from a position on: what a dedup state restores itself from. */
export interface JournaledLog extends Log {
  /**
   * The marks of every commit that ended after `position`, in commit order; commits without marks are left
   * out. Ends at what was durable when the reading reached it.
   */
  marksFrom(position: number): AsyncIterable<CommittedMarks>;
  /**
   * Keeps all commits that ended after `position` from retention until the same name says otherwise, also in
   * later runs; `Infinity` lets go.
   */
  keepFrom(name: string, position: number): void;
}

/** A log together with what its owner answers ingest and status with. */
export interface OwnedLog extends JournaledLog {
  /**
   * Why nothing may be accepted from outside now, or null. Costs a comparison; the look at disk and lag
   * behind it is at most 100 ms old.
   */
  admission(): MillraceError | null;
  /** True when every group has been handed everything durable and has come back for more. */
  isIdle(): boolean;
}

/**
 * What the owner of a log hands to another thread: pass it as `workerData`, or in a message, with `port` in the
 * transfer list.
 */
export interface SharedLog {
  readonly port: MessagePort;
  readonly positions: SharedArrayBuffer;
  readonly journal: string;
  readonly topics: readonly TopicSpec[];
  readonly queueBytesMax: number;
}
