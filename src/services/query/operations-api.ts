import type { Readable } from 'node:stream';

/** Operations as the serving process offers them: each call is the command of that name, in a process of its own. */
export interface OperationsApi {
  /** Answers with the command's document; throws its error. */
  list(): Promise<object>;
  describe(path: string): Promise<object>;
  plan(paths: readonly string[]): Promise<object>;
  receipts(limit: number | undefined): Promise<object>;
  doctor(): Promise<object>;
  /** JSON lines as the run goes on, the last of them its summary; throws where it does not begin. */
  run(request: {
    readonly paths: readonly string[];
    readonly jobs: readonly string[];
    readonly only: boolean;
  }): Promise<Readable>;
  /** Cancels the run that this process started at its next step; false where none is underway. */
  cancel(): boolean;
}
