import { ERRORS, type ErrorCode } from '../core/errors.ts';

/** Tells the name of an error of this version from any other text: another version, or program, may have said it. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
