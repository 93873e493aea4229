import type { Readable } from 'node:stream';
import type { RunStateDocument } from '../../core/operation-documents.ts';

/** Operations as the serving process offers them: each call is the command of that name, in a process of its own. */
export interface OperationsApi {
  /** Answers with the command's document; throws its error. */
  list(): Promise<object>;
  describe(path: string): Promise<object>;
  plan(paths: readonly string[]): Promise<object>;
  receipts(paths: readonly string[], limit: number | undefined): Promise<object>;
  doctor(): Promise<object>;
  /**
   * JSON lines as the run goes on, the last of them its summary; throws where it does not begin. The run goes on
   * where its reader goes away.
   */
  run(request: {
    readonly paths: readonly string[];
    readonly jobs: readonly string[];
    readonly only: boolean;
    /** The environment's name as it was typed. */
    readonly confirm: string | undefined;
  }): Promise<Readable>;
  /** As `run`, taking one operation back. */
  undo(request: { readonly path: string; readonly confirm: string | undefined }): Promise<Readable>;
  /** The run that this process started last. */
  state(): RunStateDocument;
  /** Its lines from the first on, until it ends; throws ERR_NOT_FOUND before the first run. */
  log(): Readable;
  /** Cancels the run that this process started at its next step; false where none is underway. */
  cancel(): boolean;
  /** Ends the run that is underway, at a step's boundary if one comes in time. */
  close(): Promise<void>;
}
