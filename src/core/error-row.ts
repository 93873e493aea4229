/**
 * Whose fault an error is, which decides what happens to it:
 * `invalid` is the data's: a value (an outcome or a reply), never thrown inside the pipeline;
 * `unavailable` is the world's: thrown, retried with back-off under a limit;
 * `misuse` is the operator's: said at once, exit 2, no stack;
 * `bug` is ours.
 */
export type ErrorKind = 'invalid' | 'unavailable' | 'misuse' | 'bug';

/** What is known of an error: the table's row. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly httpStatus: number;
  readonly message: string;
  readonly remedy: string;
}

/** Makes a row. */
export const row = (kind: ErrorKind, httpStatus: number, message: string, remedy: string): ErrorRow => ({
  kind,
  httpStatus,
  message,
  remedy,
});
