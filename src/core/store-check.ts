import type { ErrorCode } from './errors.ts';

/** Something about a server that an operator should know before the pipeline relies on it. */
export interface StoreFinding {
  /** What an error is called: that of the refusal, or ERR_NOT_READY for a server that is set up wrongly. */
  readonly code: ErrorCode;
  /**
   * `error`: the pipeline would stop, or lose its guarantees; `warning`: it would lose something in a bad case;
   * `note`: it could not be looked at, and nothing speaks against it.
   */
  readonly severity: 'error' | 'warning' | 'note';
  readonly problem: string;
  /** What to do about it, on the server or in the configuration. */
  readonly remedy: string;
}

/** What a look at a server told; it changed nothing there. */
export interface StoreCheck {
  /** What it is and of which release: `PostgreSQL 15.14`, `Valkey 8.0.1`. */
  readonly version: string;
  /** Errors first. */
  readonly findings: readonly StoreFinding[];
}
