import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import { isTlsFailure } from '../../core/store-error.ts';

/** The five characters that PostgreSQL names an error with; undefined where the error is none of its own. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/**
 * A failure of PostgreSQL, or of the way to it, as the error that callers wait out. None ends the process: an
 * operator mends each while the sinks wait.
 */
export function postgresError(cause: unknown, what: string): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const message = messageOf(cause);
  const state = sqlStateOf(cause);
  const why = `${what}: ${message}${state === undefined ? '' : ` (${state})`}`;
  const code = codeOf(state, message);
  const remedy = state === undefined ? wayRemedy(code, cause) : REMEDIES[state];
  return new MillraceError(code, why, {
    cause,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** What to look at where PostgreSQL said nothing itself: it was not reached, or not as it wants to be. */
function wayRemedy(code: ErrorCode, cause: unknown): string | undefined {
  if (code !== 'ERR_STORE_UNAVAILABLE') return undefined;
  const isOfTls = isTlsFailure(cause) || /\bSSL\b/.test(messageOf(cause));
  return isOfTls
    ? 'Check postgres.tls, and that postgres.caFile holds the authority that signed the certificate of postgres.host.'
    : 'Check that PostgreSQL runs there, and postgres.host, postgres.port and postgres.tls.';
}

/** One text, also of errors that hold others: a name with several addresses fails once for each. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  '28000': 'ERR_STORE_AUTH',
  '28P01': 'ERR_STORE_AUTH',
  '42501': 'ERR_STORE_RIGHTS',
  '25006': 'ERR_STORE_READ_ONLY',
  // Disk full, out of memory, too much for a limit of the configuration (temp_file_limit).
  '53100': 'ERR_STORE_FULL',
  '53200': 'ERR_STORE_FULL',
  '53400': 'ERR_STORE_FULL',
};

const REMEDIES: Readonly<Record<string, string>> = {
  '3D000': 'Create the database that postgres.database names, owned by the user and with encoding UTF8.',
  '22P05': 'Create the database with encoding UTF8.',
  '53300': 'Raise max_connections of the server, or lower postgres.poolMax.',
};

function codeOf(state: string | undefined, message: string): ErrorCode {
  if (state === undefined) {
    // The client refuses to log in without a password by itself.
    return /password must be|^SASL/.test(message) ? 'ERR_STORE_AUTH' : 'ERR_STORE_UNAVAILABLE';
  }
  if (/No space left on device/.test(message)) return 'ERR_STORE_FULL';
  return CODES[state] ?? 'ERR_STORE_UNAVAILABLE';
}
