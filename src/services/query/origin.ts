import { isLoopback } from '../../config/loopback.ts';
import { MillraceError } from '../../core/errors.ts';

/** Which names a server answers to. */
export interface OwnNames {
  /** Port it listens on; loopback names are its own only with that port. */
  readonly port: number;
  /** Further host names, with or without a port; without one any port will do. */
  readonly allowedHosts: readonly string[];
}

/**
 * Refuses a request whose `Host`, or `Origin` where there is one, is not this server: a page of another site
 * can make a browser send requests here, and a name that it controls can be made to resolve to loopback.
 * @returns null where the request may pass
 */
export function refuseForeign(
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
  own: OwnNames,
): MillraceError | null {
  if (!isOwn(headers.host ?? '', own)) {
    return new MillraceError('ERR_ORIGIN_REFUSED', `Host is ${headers.host ?? 'missing'}`);
  }
  if (headers.origin === undefined) return null;
  const authority = /^https?:\/\/([^/?#@]+)$/i.exec(headers.origin)?.[1];
  if (authority !== undefined && isOwn(authority, own)) return null;
  return new MillraceError('ERR_ORIGIN_REFUSED', `Origin is ${headers.origin}`);
}

function isOwn(authority: string, own: OwnNames): boolean {
  const [, name = '', port = '80'] = /^(\[[\da-f:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(authority) ?? [];
  const lowerName = name.toLowerCase();
  if (isLoopback(lowerName)) return Number(port) === own.port;
  return own.allowedHosts.some(allowed => {
    const lowerAllowed = allowed.toLowerCase();
    return lowerName !== '' && (lowerAllowed === lowerName || lowerAllowed === `${lowerName}:${port}`);
  });
}
