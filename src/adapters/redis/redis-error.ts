import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import { isTlsFailure } from '../../core/store-error.ts';

/** What Redis says first in a refusal → the error that says it to the operator. Any other refusal: unavailable. */
const CODES: readonly (readonly [pattern: RegExp, code: ErrorCode, remedy?: string])[] = [
  [/^(?:WRONGPASS|NOAUTH)\b|^ERR invalid password|^ERR AUTH /, 'ERR_STORE_AUTH'],
  [/^NOPERM\b/, 'ERR_STORE_RIGHTS'],
  // 7.0 does not name the command here.
  [
    /^ERR (?:The user executing the script|ACL failure in script)/,
    'ERR_STORE_RIGHTS',
    'Grant the user what the script of the marks calls: +select +get +set, on all keys (~*).',
  ],
  [/^OOM\b/, 'ERR_STORE_FULL', 'Raise maxmemory of Redis; the pipeline goes on by itself.'],
  [
    /^MISCONF\b.*No space left/s,
    'ERR_STORE_FULL',
    'Free space on the disk of Redis; the pipeline goes on by itself.',
  ],
  [/^MISCONF\b/, 'ERR_STORE_READ_ONLY', 'See in the log of Redis why it cannot write to its disk.'],
  [/^READONLY\b|^NOREPLICAS\b/, 'ERR_STORE_READ_ONLY'],
  [
    /^WRONGTYPE\b/,
    'ERR_STORE_UNAVAILABLE',
    'Another program keeps its keys there: give the first sightings databases of their own (redis.…Database).',
  ],
  [
    /^ERR (?:DB index is out of range|SELECT is not allowed)/,
    'ERR_STORE_UNAVAILABLE',
    'Give Redis enough databases, or correct redis.…Database; a Redis Cluster has only one and cannot be used.',
  ],
];

/**
 * A failure of Redis, or of the way to it, as the error that callers wait out.
 *
 * @param cause  what the client threw, or the last that it said of its connection
 * @param place  `host:port`
 */
export function redisError(cause: unknown, place: string): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  const why = `Redis ${place}: ${said}`;
  const bare = withoutCommand(cause);
  if (isReply(cause)) {
    const [, code, remedy] = CODES.find(([pattern]) => pattern.test(said)) ?? [];
    return new MillraceError(code ?? 'ERR_STORE_UNAVAILABLE', why, {
      cause: bare,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
  const remedy = isTlsFailure(cause)
    ? 'Check redis.tls, and that redis.caFile holds the authority that signed the certificate of redis.host.'
    : `Check that Redis runs at ${place}, and redis.host, redis.port and redis.tls.`;
  return new MillraceError('ERR_STORE_UNAVAILABLE', why, { cause: bare, remedy });
}

/** Whether it is an answer of the server, rather than a failure to reach it. */
export function isReply(cause: unknown): cause is Error {
  return cause instanceof Error && cause.name === 'ReplyError';
}

/** The client hangs the command and its arguments on its errors: a password, or a batch of events. */
function withoutCommand(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const bare = new Error(cause.message);
  bare.name = cause.name;
  if (cause.stack !== undefined) bare.stack = cause.stack;
  return bare;
}
