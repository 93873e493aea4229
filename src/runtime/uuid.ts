import { hash } from 'node:crypto';

/** Namespace of the ids that jobs make; drawn once for this product. */
const NAMESPACE = Buffer.from('9b1f5a0e63d84c7f8a52d94be1c07a36', 'hex');

/** The name-based UUID (RFC 9562 version 5) of a name in the product's namespace. */
export function uuidOf(name: string): string {
  const digest = hash('sha1', Buffer.concat([NAMESPACE, Buffer.from(name, 'utf8')]), 'buffer');
  digest[6] = (digest[6]! & 0x0f) | 0x50;
  digest[8] = (digest[8]! & 0x3f) | 0x80;
  const hex = digest.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
