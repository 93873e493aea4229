import { createHash, timingSafeEqual } from 'node:crypto';

/** Tells whether a presented token is one of those a check was made with. */
export type TokenCheck = (presented: string | undefined) => boolean;

/**
 * A check against a few tokens. Digests of equal length are compared, all of them each time, so that the time
 * taken says neither how much of a token was right nor which one it was.
 */
export function createTokenCheck(tokens: readonly string[]): TokenCheck {
  const known = tokens.map(digest);
  return presented => {
    if (presented === undefined) return false;
    const candidate = digest(presented);
    let matches = 0;
    for (const token of known) matches += timingSafeEqual(candidate, token) ? 1 : 0;
    return matches > 0;
  };
}

/** The token of an `Authorization: Bearer` header; undefined where it is absent or of another scheme. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +([^\s,]+)$/i.exec(authorization ?? '')?.[1];
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
