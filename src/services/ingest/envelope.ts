import { ERRORS, type MillraceError } from '../../core/errors.ts';

/** The original's reply to telemetry and health requests. */
export interface Envelope {
  readonly id: 'api.telemetry' | 'api.health';
  readonly ver: '1.0';
  /** Server clock, epoch ms UTC. */
  readonly ets: number;
  readonly params: { readonly err?: string; readonly errmsg?: string };
  readonly responseCode: 'SUCCESS' | 'CLIENT_ERROR' | 'SERVER_ERROR';
}

/** The envelope of an answer: success where `error` is null. */
export function envelopeOf(id: Envelope['id'], etsMs: number, error: MillraceError | null): Envelope {
  if (error === null) return { id, ver: '1.0', ets: etsMs, params: {}, responseCode: 'SUCCESS' };
  const params = { err: error.code, errmsg: `${ERRORS[error.code].message}: ${error.why}` };
  const responseCode = error.httpStatus < 500 ? 'CLIENT_ERROR' : 'SERVER_ERROR';
  return { id, ver: '1.0', ets: etsMs, params, responseCode };
}

/** Seconds after which a client may try again what was answered 503. */
export const RETRY_AFTER_S = '5';
