import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { type LocatedSoftware, locateDebian } from './debian-packages.ts';
import { filePart, folderPart, type ManagedFile, readSecret, secretPart } from './managed-file.ts';
import { adminPart } from './postgres-admin.ts';
import { clusterPart, reachPart, rolePart } from './postgres-parts.ts';
import { ADMIN, describeLogin, type PostgresPlace, passwordLine, queryAsAdmin } from './postgres-query.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX, type Server, type ServerContext, type ServerSecret } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';

const NAME = 'postgres';
const BIN = 'usr/lib/postgresql/15/bin';
const SOFTWARE = {
  name: 'postgresql-15',
  // After the two that hold the programs, the libraries that a plain system lacks. The one for compiled queries
  // (107 MB) is left out: they are switched off.
  packages: [
    'postgresql-15',
    'postgresql-client-15',
    'libpq5',
    'libldap-2.5-0',
    'libsasl2-2',
    'libxml2',
    'libxslt1.1',
    'libicu72',
    'libgssapi-krb5-2',
    'libkrb5-3',
    'libk5crypto3',
    'libkrb5support0',
    'libkeyutils1',
  ],
  program: `${BIN}/postgres`,
};

/**
 * PostgreSQL on a host: Debian's 15, loopback by password (scram-sha-256) only, as a user of its own where we are
 * root. The pipeline's role owns its database and may create the role that reads it; it is no superuser.
 */
export async function postgresServer({ host, place, config }: ServerContext): Promise<Server> {
  const { isRoot, user: login } = await host.facts();
  const software = await locateDebian(host, place.cache, SOFTWARE);
  // It refuses to run as root.
  const user = isRoot ? 'postgres' : login;
  const postgres = describePlace({ host, place, config }, { user, software });
  const { settings, access, process } = describeProcess(postgres);
  const { port } = postgres;
  const passwords = filePart(passwordsFile(postgres));
  const reached = (from: Host, signal: AbortSignal) =>
    untilAnswered(from, { processes: [NAME], deadlineMs: READY_MS_MAX, signal }, () =>
      queryAsAdmin(from, postgres, 'SELECT 1'),
    );
  return {
    name: NAME,
    parts: [
      ...software.parts,
      reachPart(postgres, { isOtherUser: user !== login, root: place.root }),
      folderPart('folder', postgres.folder, { mode: 0o711 }),
      secretPart('admin-secret', `draw the password of ${ADMIN}`, postgres.adminSecretFile),
      secretPart('secret', `draw the password of ${postgres.role}`, postgres.secretFile),
      passwords,
      clusterPart(postgres),
      filePart(settings),
      filePart(access),
      processPart(
        'PostgreSQL',
        [process],
        async (from, _started, signal) => void (await reached(from, signal)),
      ),
      adminPart(postgres, passwords),
      rolePart(postgres),
    ],
    processes: [NAME],
    folder: postgres.folder,
    data: [postgres.data],
    secrets: secretsOf(postgres),
    verify: (from, msMax = READY_MS_MAX) =>
      untilAnswered(from, { processes: [NAME], deadlineMs: msMax }, async () => {
        const { version } = await describeLogin(from, postgres);
        return `PostgreSQL ${version} on 127.0.0.1:${port}`;
      }),
    bindings: {
      'postgres.host': '127.0.0.1',
      'postgres.port': port,
      'postgres.tls': false,
      'postgres.username': postgres.role,
      'postgres.database': postgres.database,
      'postgres.password': `file:${postgres.secretFile}`,
    },
  };
}

function describePlace(
  { place, config }: ServerContext,
  { user, software }: { readonly user: string; readonly software: LocatedSoftware },
): PostgresPlace {
  const folder = join(place.root, 'servers', NAME);
  const secrets = join(place.root, 'secrets');
  return {
    folder,
    data: join(folder, 'data'),
    port: place.ports.portOf('postgres'),
    user,
    env: software.env,
    programOf: name => software.pathOf(`${BIN}/${name}`),
    passwordsFile: join(secrets, 'postgres-passwords'),
    adminSecretFile: join(secrets, 'postgres-admin'),
    adminNextFile: join(secrets, 'postgres-admin.next'),
    secretFile: join(secrets, NAME),
    role: checkName('postgres.username', config['postgres.username'], ADMIN),
    database: checkName('postgres.database', config['postgres.database'], 'postgres'),
  };
}

function secretsOf(postgres: PostgresPlace): readonly ServerSecret[] {
  const made = [postgres.passwordsFile];
  return [
    { name: NAME, file: postgres.secretFile, made, usedBy: NAME, isServedWith: true },
    {
      name: 'postgres-admin',
      file: postgres.adminSecretFile,
      made,
      nextFile: postgres.adminNextFile,
      usedBy: `operations, as ${ADMIN} of PostgreSQL`,
      isServedWith: false,
    },
  ];
}

function describeProcess(postgres: PostgresPlace): {
  readonly settings: ManagedFile;
  readonly access: ManagedFile;
  readonly process: ServerProcess;
} {
  const { data, port, user, folder } = postgres;
  const rights = { mode: 0o600, owner: user };
  const settings: ManagedFile = {
    step: 'config',
    what: 'write the configuration of PostgreSQL',
    path: join(data, 'postgresql.conf'),
    rights,
    content: async () => configText(port),
  };
  const access: ManagedFile = {
    step: 'access',
    what: 'write who may log in to PostgreSQL',
    path: join(data, 'pg_hba.conf'),
    rights,
    content: async () => ACCESS_TEXT,
  };
  const process: ServerProcess = {
    spec: {
      name: NAME,
      argv: [postgres.programOf('postgres'), '-D', data],
      env: { ...postgres.env, HOME: data },
      user,
      logFile: join(folder, 'postgres.log'),
      // The fast one: sessions are ended, nothing is lost.
      stopSignal: 'SIGINT',
      stopMsMax: 12_000,
    },
    files: [settings, access],
    ports: [port],
  };
  return { settings, access, process };
}

/** What the clients that we start read passwords from: they stand in no argument and no variable. */
function passwordsFile({ passwordsFile: path, ...postgres }: PostgresPlace): ManagedFile {
  const { port, role, secretFile, adminSecretFile } = postgres;
  return {
    step: 'passwords',
    what: 'write the passwords for our own clients of PostgreSQL',
    path,
    rights: { mode: 0o600 },
    isSecret: true,
    async content(host) {
      const [admin, own] = [await readSecret(host, adminSecretFile), await readSecret(host, secretFile)];
      if (admin === undefined || own === undefined) return undefined;
      return `${passwordLine(port, ADMIN, admin)}${passwordLine(port, role, own)}`;
    },
  };
}

function configText(port: number): string {
  return [
    '# Written by millrace: edits are undone by the next run.',
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    // Sockets would lie in a folder of others.
    "unix_socket_directories = ''",
    'password_encryption = scram-sha-256',
    'max_connections = 60',
    'shared_buffers = 128MB',
    // The compiler of queries is a package of its own, and costs more than it gives on short ones.
    'jit = off',
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    "lc_messages = 'C.UTF-8'",
    // Statements may hold what nobody should read in a log.
    'log_min_error_statement = panic',
    '',
  ].join('\n');
}

const ACCESS_TEXT = [
  '# Written by millrace: edits are undone by the next run.',
  '# type  database  user  address         method',
  'host    all       all   127.0.0.1/32    scram-sha-256',
  '',
].join('\n');

/** Names are used as they stand, in SQL and in files. */
function checkName(key: string, name: string, taken: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name) && name !== taken && !name.startsWith('pg_')) return name;
  throw new MillraceError('ERR_CONFIG_INVALID', `${key} "${name}" cannot be created on the host`, {
    remedy: `Use up to 63 of a-z, 0-9 and _, but not ${taken} nor what begins with pg_.`,
  });
}
