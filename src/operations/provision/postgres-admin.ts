import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { failpoint } from '../../observability/failpoint.ts';
import { readSecret } from './managed-file.ts';
import type { Part } from './part.ts';
import { ADMIN, type PostgresPlace, queryAsAdmin } from './postgres-query.ts';

const SCRAM_ITERATIONS = 4096;

/**
 * Has the server take the administrator's next password, where one was drawn. It lies beside the old one until the
 * server has it, then takes its place: wherever that is cut off, one of the two logs in, and doing it again ends it.
 * @param passwords  the file for our own clients, which follows
 */
export function adminPart(postgres: PostgresPlace, passwords: Part): Part {
  const { adminNextFile, adminSecretFile } = postgres;
  return {
    step: 'admin',
    what: `change the password of ${ADMIN}`,
    async observe(host) {
      if ((await host.stat(adminNextFile)) === undefined) return undefined;
      return { before: 'another (secret)', after: '(secret)' };
    },
    async apply(context) {
      const { host } = context;
      const next = await readSecret(host, adminNextFile);
      if (next === undefined) return host.remove(adminNextFile);
      await queryAsAdmin(host, postgres, `ALTER ROLE "${ADMIN}" PASSWORD '${scramVerifier(next)}'`);
      failpoint('postgres.afterAdminChange');
      await host.rename(adminNextFile, adminSecretFile);
      failpoint('postgres.afterAdminRename');
      await passwords.apply(context);
    },
  };
}

/** What the server keeps of a password (RFC 5803): given this, it never sees the password itself. */
export function scramVerifier(secret: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(secret, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const keyOf = (label: string) => createHmac('sha256', salted).update(label).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  const server = keyOf('Server Key').toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${stored}:${server}`;
}
