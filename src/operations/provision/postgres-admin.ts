import { scramVerifier } from '../../config/scram-verifier.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { readSecret } from './managed-file.ts';
import type { Part } from './part.ts';
import { ADMIN, type PostgresPlace, queryAsAdmin } from './postgres-query.ts';

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
