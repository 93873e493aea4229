import { GenericError, MultipleErrors } from '@platformatic/kafka';
import { type ErrorCode, MillraceError } from '../../../core/errors.ts';
import { isTlsFailure } from '../../../core/store-error.ts';
import type { NativeError } from './native-client.ts';

/** What a broker's error code is to us. Numbers are the protocol's. */
const BROKER_CODES: Readonly<Record<number, ErrorCode>> = {
  3: 'ERR_TOPIC_MISSING',
  19: 'ERR_REPLICAS_TOO_FEW',
  20: 'ERR_REPLICAS_TOO_FEW',
  29: 'ERR_STORE_RIGHTS',
  30: 'ERR_STORE_RIGHTS',
  31: 'ERR_STORE_RIGHTS',
  38: 'ERR_REPLICAS_TOO_FEW',
  53: 'ERR_STORE_RIGHTS',
  58: 'ERR_STORE_AUTH',
  // The native client's own.
  [-190]: 'ERR_TOPIC_MISSING',
  [-188]: 'ERR_TOPIC_MISSING',
  [-169]: 'ERR_STORE_AUTH',
};

/** The native client's codes that are looked for. */
export const NATIVE = {
  queueFull: -184,
  state: -172,
  assignPartitions: -175,
  revokePartitions: -174,
  fatal: -150,
} as const;

/** What a code of the brokers or of the native client is to us; undefined for those that pass by themselves. */
export function brokerCode(code: number): ErrorCode | undefined {
  return BROKER_CODES[code];
}

/** What was attempted on what, for the error's text: `read topic x`, `as a member of group y`. */
export interface Attempt {
  readonly brokers: readonly string[];
  readonly doing: string;
}

/** An error of the native client by name; everything that has no name is the store's being away. */
export function errorFromNative(error: NativeError, attempt: Attempt): MillraceError {
  return named(brokerCode(error.code) ?? 'ERR_STORE_UNAVAILABLE', error.message, attempt, error);
}

/** An error of the admin client by name. */
export function errorFromAdmin(error: unknown, attempt: Attempt): MillraceError {
  if (error instanceof MillraceError) return error;
  for (const part of partsOf(error)) {
    const { code, message } = part;
    if (code === 'PLT_KFK_AUTHENTICATION' && !isCutOff(part))
      return named('ERR_STORE_AUTH', message, attempt, error);
    if (code === 'PLT_KFK_USER' && /^Unknown topic/.test(message)) {
      return named('ERR_TOPIC_MISSING', message, attempt, error);
    }
    const apiCode = part instanceof GenericError ? part['apiCode'] : undefined;
    const known = typeof apiCode === 'number' ? BROKER_CODES[apiCode] : undefined;
    if (known !== undefined) return named(known, message, attempt, error);
  }
  return named('ERR_STORE_UNAVAILABLE', reasonOf(error), attempt, error);
}

/** True where an admin call failed with this code of the broker. */
export function hasBrokerCode(error: unknown, brokerCode: number): boolean {
  return partsOf(error).some(part => part instanceof GenericError && part['apiCode'] === brokerCode);
}

function named(code: ErrorCode, said: string, { brokers, doing }: Attempt, cause: unknown): MillraceError {
  const places = brokers.join(', ');
  const why = `${places}: ${doing}: ${said}`;
  if (code !== 'ERR_STORE_UNAVAILABLE') return new MillraceError(code, why, { cause });
  const remedy = partsOf(cause).some(isOfTls)
    ? 'Check kafka.tls, and that kafka.caFile holds the authority that signed the certificates of the brokers.'
    : `Check that Kafka runs at ${places}, and kafka.brokers, kafka.tls and kafka.username.`;
  return new MillraceError(code, why, { cause, remedy });
}

/** The admin client speaks of a refused login also where the connection ended in the midst of it, as without TLS. */
function isCutOff(part: ErrorPart): boolean {
  return partsOf(part.cause).some(({ code }) => code === 'PLT_KFK_NETWORK');
}

const NATIVE_TLS_CODE = -181;

function isOfTls(part: ErrorPart): boolean {
  return part.code === NATIVE_TLS_CODE || isTlsFailure(part);
}

interface ErrorPart extends Error {
  readonly code?: unknown;
}

/** The error, what it gathers and what caused it, outermost first. Ends: causes are a tree. */
function partsOf(error: unknown): readonly ErrorPart[] {
  if (!(error instanceof Error)) return [];
  const inner = error instanceof MultipleErrors || error instanceof AggregateError ? error.errors : [];
  return [error, ...inner.flatMap(partsOf), ...partsOf(error.cause)];
}

/** What the innermost error says: the outer ones say that a request failed. */
function reasonOf(error: unknown): string {
  const deepest = partsOf(error).at(-1);
  if (deepest === undefined) return String(error);
  const said = deepest instanceof GenericError ? deepest['serverErrorMessage'] : undefined;
  return typeof said === 'string' && said !== '' ? `${deepest.message} ${said}` : deepest.message;
}
