import { type ErrorDocument, MillraceError } from '../core/errors.ts';
import { systemError } from '../core/store-error.ts';

/** A named error, or what the system refused, as a document: it must not end who tells of it. Throws any other. */
export function errorDocumentOf(thrown: unknown): ErrorDocument {
  const error = systemError(thrown);
  if (error instanceof MillraceError) return error.toDocument();
  throw error;
}
