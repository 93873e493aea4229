import type { IncomingHttpHeaders } from 'node:http';
import { MillraceError } from '../../core/errors.ts';
import { bearerOf, type TokenCheck } from '../ingest/bearer.ts';

/** Name of the cookie that holds the operator token for browsers. */
const COOKIE_NAME = 'millrace';

/**
 * Refuses a request that presents the operator token neither as bearer nor as cookie; null where it may pass.
 * @param asked  the wrong token that stood in the address, where it may stand there: so that it is not said that there
 *               was none
 */
export function refuseStranger(
  headers: IncomingHttpHeaders,
  isKnown: TokenCheck,
  asked?: string,
): MillraceError | null {
  const sent =
    headers.authorization === undefined ? cookieOf(headers.cookie) : bearerOf(headers.authorization);
  if (isKnown(sent)) return null;
  if (asked !== undefined) {
    return new MillraceError('ERR_UNAUTHORIZED', 'the token in the address is another one', {
      remedy: 'Open the address that "millrace status" prints on the machine that runs it.',
    });
  }
  return new MillraceError(
    'ERR_UNAUTHORIZED',
    sent === undefined ? 'no token was presented' : 'the token is another one',
  );
}

/** The cookie that lets a browser in: never sent along from another site, never shown to a script. */
export function cookieHeader(token: string): string {
  return `${COOKIE_NAME}=${token}; Path=/; HttpOnly; SameSite=Strict`;
}

/** Whether a token can be sent as bearer and as cookie as it stands: visible ASCII without `" , ; \\`. */
export function isSendable(token: string): boolean {
  return /^[!#-+\--:<-[\]-~]+$/.test(token);
}

function cookieOf(header: string | undefined): string | undefined {
  const prefix = `${COOKIE_NAME}=`;
  const pairs = (header ?? '').split(';').map(pair => pair.trim());
  return pairs.find(pair => pair.startsWith(prefix))?.slice(prefix.length);
}
