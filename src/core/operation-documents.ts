import type { ErrorDocument } from './errors.ts';
import type { JsonObject } from './event.ts';
import type { Change } from './operation.ts';

/**
 * How an operation stands, by observation:
 * `absent`: nothing of it is there; `drifted`: something is, but not as the configuration and release say;
 * `partial`: all is there that this release has, and a part is named that only a later one brings;
 * `failed`: the last run of it failed or was cut off, and it has not been repeated.
 */
export type OperationState = 'absent' | 'drifted' | 'partial' | 'applied' | 'failed';

/** Where an operation acts: inside the serving process, on a host's servers, or on what others run. */
export type OperationTarget = 'embedded' | 'host' | 'external';

/** One operation in `operations`. */
export interface OperationDocument {
  readonly path: string;
  readonly title: string;
  readonly does: string;
  readonly target: OperationTarget;
  readonly state: OperationState;
  /** Paths of the operations that must be there first. */
  readonly needs: readonly string[];
  /** Id of its last receipt. */
  readonly receipt: string | null;
  /** What that receipt says in short. */
  readonly last: LastReceipt | null;
  /** Parts that only a later release brings. */
  readonly missing: readonly string[];
}

/** The head of a receipt, for a list. */
export type LastReceipt = Pick<
  ReceiptDocument,
  'id' | 'startedAtMs' | 'durationMs' | 'outcome' | 'verb' | 'who'
>;

/** `operations`, in the order of the original's documentation. */
export interface OperationsDocument {
  readonly environment: string;
  /** Whether a run wants the environment's name typed. */
  readonly protected: boolean;
  readonly operations: readonly OperationDocument[];
}

/** A parameter of the original's job and what stands for it here. */
export interface ParameterMapping {
  readonly original: string;
  /** A flag of ours, null where the parameter is gone. */
  readonly flag: string | null;
  readonly because: string;
}

/** `operations describe PATH`. */
export interface OperationDescription extends OperationDocument {
  readonly aliases: readonly string[];
  readonly parameters: readonly ParameterMapping[];
  /** What stands in for the original's component on this target; null where it is the component itself. */
  readonly standIn: string | null;
  readonly changes: readonly Change[];
  /** What was observed; holds no secret. */
  readonly observed: JsonObject;
  /**
   * What `undo` would take back, or why it refuses to; null where the operation has no undo. `isInUse`: the process
   * that serves the environment uses some of it, so it is taken back when that has ended.
   */
  readonly undo: {
    readonly changes: readonly Change[];
    readonly refusal: ErrorDocument | null;
    readonly isInUse: boolean;
  } | null;
}

/** Changes of one operation in a plan. */
export interface PlannedDocument {
  readonly operation: string;
  readonly changes: readonly Change[];
}

/** `plan`: what `run` would do, in its order. Operations without a change are left out. */
export interface PlanDocument {
  readonly plan: readonly PlannedDocument[];
  readonly changes: number;
  readonly environment: string;
  /** The paths that were asked for; empty: everything. */
  readonly paths: readonly string[];
  /** The stream jobs that Deploy/Yarn was asked for; empty: all. */
  readonly jobs: readonly string[];
  readonly configDigest: string;
  readonly releaseDigest: string;
}

/** How an operation of a run ended. */
export type ReceiptOutcome = 'applied' | 'unchanged' | 'partial' | 'failed';

/** What a run is for: `undo` takes an operation back, `restart` restarts the processes of a server. */
export type RunVerb = 'run' | 'undo' | 'restart';

/** What was done to one operation by one run; never changed once it is written. */
export interface ReceiptDocument {
  readonly id: string;
  readonly operation: string;
  readonly environment: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly outcome: ReceiptOutcome;
  readonly configDigest: string;
  readonly releaseDigest: string;
  /** What verification saw; holds no secret. */
  readonly observed: JsonObject;
  /** What was changed; of one that failed what it had changed by then. */
  readonly changes: readonly Change[];
  readonly missing: readonly string[];
  readonly error: ErrorDocument | null;
  /** Id of the run that it belongs to. */
  readonly run: string;
  readonly verb: RunVerb;
  /** The OS user, or the name of the token. */
  readonly who: string;
}

/** One run, whatever came of it. */
export interface RunDocument {
  readonly id: string;
  readonly environment: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly verb: RunVerb;
  readonly paths: readonly string[];
  readonly ok: boolean;
  readonly changes: number;
  readonly receipts: readonly string[];
  readonly configDigest: string;
  readonly releaseDigest: string;
  readonly who: string;
  readonly host: string;
  readonly error: ErrorDocument | null;
}

/** `receipts`: newest first. */
export interface ReceiptsDocument {
  readonly receipts: readonly ReceiptDocument[];
  readonly runs: readonly RunDocument[];
  /** False where an entry is not what the digest after it says. */
  readonly intact: boolean;
}

/** The last line of `run --json`. */
export interface RunSummary {
  readonly receipts: readonly ReceiptDocument[];
  readonly changes: number;
  readonly ok: boolean;
}

/** The run that the serving process started last. */
export interface RunStateDocument {
  readonly running: boolean;
  readonly verb: RunVerb;
  /** What it was asked for; empty before the first. */
  readonly paths: readonly string[];
  readonly startedAtMs: number | null;
}

/** One line of a run's live log. */
export interface RunEvent {
  readonly timeMs: number;
  readonly operation: string;
  readonly phase: 'plan' | 'apply' | 'progress' | 'verify' | 'done';
  readonly step: string | null;
  readonly message: string;
  /** Of `done`. */
  readonly outcome?: ReceiptOutcome;
}

/** A finding of `doctor`. */
export interface CheckDocument {
  readonly id: string;
  /** `block`: nothing is changed or started while it is not ok. */
  readonly severity: 'block' | 'warn';
  readonly ok: boolean;
  readonly found: string;
  /** What to type or do next; empty where it is ok. */
  readonly remedy: string;
}

/** `doctor`. */
export interface ChecksDocument {
  readonly checks: readonly CheckDocument[];
}
