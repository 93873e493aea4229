import { dirname, join } from 'node:path';
import { scramVerifier } from '../../config/scram-verifier.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { readSecret, readText } from './managed-file.ts';
import type { Part } from './part.ts';
import { ADMIN, describeLogin, type PostgresPlace, queryAsAdmin } from './postgres-query.ts';

const INITDB_MS_MAX = 120_000;
const MAJOR = '15';
const ENTERABLE = 0o001;

/**
 * Makes the folders above the data enterable, where the server runs as another user. Says beforehand where there
 * is no such user, or a folder that is not ours to open is in the way.
 */
export function reachPart(
  postgres: PostgresPlace,
  { isOtherUser, root }: { readonly isOtherUser: boolean; readonly root: string },
): Part {
  const ours = [dirname(root), root, dirname(postgres.folder)];
  return {
    step: 'reach',
    what: `let the user ${postgres.user} pass through the folders of the environment`,
    async observe(host) {
      if (!isOtherUser) return undefined;
      await checkUser(host, postgres);
      await checkEnterable(host, dirname(dirname(root)), postgres.user);
      const program = postgres.programOf('postgres');
      if ((await host.stat(program)) !== undefined)
        await checkEnterable(host, dirname(program), postgres.user);
      const closed = await closedFolders(host, ours);
      if (closed.length === 0) return undefined;
      return { before: `closed to ${postgres.user}`, after: 'rights 0711' };
    },
    async apply({ host }) {
      for (const folder of await closedFolders(host, ours)) await host.makeFolder(folder, { mode: 0o711 });
    },
  };
}

async function closedFolders(host: Host, folders: readonly string[]): Promise<readonly string[]> {
  const closed: string[] = [];
  for (const folder of folders) {
    const state = await host.stat(folder);
    if (state === undefined || (state.mode & ENTERABLE) === 0) closed.push(folder);
  }
  return closed;
}

async function checkUser(host: Host, { user }: PostgresPlace): Promise<void> {
  const { exitCode } = await host.exec(['id', '-u', '--', user], { timeoutMs: 10_000 });
  if (exitCode === 0) return;
  throw new MillraceError(
    'ERR_TOOL_MISSING',
    `PostgreSQL does not run as root, and there is no user ${user}`,
    {
      remedy: `Run millrace as an ordinary user, or create one: useradd --system --no-create-home ${user}`,
    },
  );
}

async function checkEnterable(host: Host, folder: string, user: string): Promise<void> {
  const state = await host.stat(folder);
  if (state !== undefined && (state.mode & ENTERABLE) === 0) {
    throw new MillraceError(
      'ERR_HOST_COMMAND',
      `${folder} cannot be entered by ${user}, as which PostgreSQL runs`,
      {
        remedy: `chmod o+x ${folder}, or use --data (and XDG_CACHE_HOME) in another place.`,
      },
    );
  }
  if (dirname(folder) !== folder) await checkEnterable(host, dirname(folder), user);
}

/** The folder of the databases: made aside, so that what has its name is whole. */
export function clusterPart(postgres: PostgresPlace): Part {
  const { data, folder, user } = postgres;
  const versionFile = join(data, 'PG_VERSION');
  return {
    step: 'cluster',
    what: 'create the folder of the databases',
    async observe(host) {
      const version = (await readText(host, versionFile))?.trim();
      if (version === MAJOR) return undefined;
      if (version === undefined) return { before: null, after: `databases of PostgreSQL ${MAJOR}` };
      throw new MillraceError(
        'ERR_DATA_FORMAT',
        `${data} was written by PostgreSQL ${version}, not ${MAJOR}`,
      );
    },
    async apply({ host, progress, signal }) {
      const [aside, passwordFile] = [`${data}.new`, join(folder, 'admin-password')];
      const secret = await readSecret(host, postgres.adminSecretFile);
      if (secret === undefined) throw new Error('assertion failed: the secret is drawn before');
      progress('creating the folder of the databases');
      await host.remove(aside);
      await host.makeFolder(aside, { mode: 0o700, owner: user });
      try {
        await host.put(passwordFile, `${secret}\n`, { mode: 0o600, owner: user });
        const settings = [
          '--encoding=UTF8',
          '--locale=C.UTF-8',
          '--auth=scram-sha-256',
          `--username=${ADMIN}`,
        ];
        const argv = [postgres.programOf('initdb'), ...settings, `--pwfile=${passwordFile}`, '-D', aside];
        const { exitCode, stderr } = await host.exec(argv, {
          user,
          cwd: '/',
          env: postgres.env,
          timeoutMs: INITDB_MS_MAX,
          signal,
        });
        if (exitCode !== 0) {
          throw new MillraceError('ERR_HOST_COMMAND', `initdb ended with ${exitCode}: ${stderr.trim()}`);
        }
        await host.rename(aside, data);
      } finally {
        await host.remove(passwordFile);
      }
    },
  };
}

/** The pipeline's role and database. Whether they are as they should be can be seen only while the server runs. */
export function rolePart(postgres: PostgresPlace): Part {
  const { role, database, secretFile } = postgres;
  return {
    step: 'role',
    what: `create the role ${role} and the database ${database}`,
    async observe(host) {
      const after = `${role} owns ${database}, may create roles, is no superuser`;
      if ((await host.process('postgres')).state !== 'running') {
        const isNew = (await host.stat(postgres.data)) === undefined;
        return { before: isNew ? null : 'unknown: the server does not run', after };
      }
      try {
        await describeLogin(host, postgres);
        return undefined;
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        return { before: error.why, after };
      }
    },
    async apply({ host }) {
      const secret = await readSecret(host, secretFile);
      if (secret === undefined) throw new Error('assertion failed: the secret is drawn before');
      await queryAsAdmin(host, postgres, roleSql(role, database, scramVerifier(secret)));
    },
  };
}

/** The names are checked before and stand in quotes; `\gexec` runs what the SELECT answers, if anything. */
function roleSql(role: string, database: string, verifier: string): string {
  return `
    SELECT 'CREATE ROLE "${role}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') \\gexec
    ALTER ROLE "${role}" LOGIN NOSUPERUSER CREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD '${verifier}';
    SELECT 'CREATE DATABASE "${database}" OWNER "${role}"'
      WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '${database}') \\gexec
    ALTER DATABASE "${database}" OWNER TO "${role}";
  `;
}
