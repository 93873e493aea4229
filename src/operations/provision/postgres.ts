import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { type LocatedSoftware, locateDebian } from './debian-packages.ts';
import { filePart, folderPart, type ManagedFile, readSecret, secretPart } from './managed-file.ts';
import type { Part } from './part.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX, type Server, type ServerContext } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';

const BIN = 'usr/lib/postgresql/15/bin';
const SOFTWARE = {
  name: 'postgresql-15',
  packages: [
    'postgresql-15',
    'postgresql-client-15',
    'libpq5',
    'libicu72',
    'libxml2',
    'libxslt1.1',
    'libldap-2.5-0',
    'libsasl2-2',
  ],
  program: join(BIN, 'postgres'),
};
const NAME = 'postgres';
const ADMIN = 'postgres';
const COMMAND_MS_MAX = 60_000;

/** Where the parts of one server lie. */
interface Layout {
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  /** The OS user that it runs as; undefined for the login. PostgreSQL refuses to run as root. */
  readonly runsAs: string | undefined;
  readonly adminSecret: string;
  readonly secret: string;
  readonly user: string;
  readonly database: string;
  readonly software: LocatedSoftware;
}

/** PostgreSQL on a host: Debian's 15, loopback, logins by SCRAM, a role for the pipeline that owns its database. */
export async function postgresServer(context: ServerContext): Promise<Server> {
  const layout = await layoutOf(context);
  const owner = layout.runsAs === undefined ? {} : { owner: layout.runsAs };
  const { settings, logins } = filesOf(layout);
  const wait = { processes: [NAME], deadlineMs: READY_MS_MAX };
  return {
    name: NAME,
    parts: [
      ...layout.software.parts,
      folderPart('folder', layout.folder, { mode: 0o700, ...owner }),
      secretPart('admin-secret', 'draw the password of the superuser', layout.adminSecret),
      secretPart('secret', `draw the password of ${layout.user}`, layout.secret),
      clusterPart(layout),
      filePart(settings),
      filePart(logins),
      processPart('PostgreSQL', [processOf(layout, [settings, logins])], async (host, _started, signal) => {
        await untilAnswered(host, { ...wait, signal }, () => makeDatabase(host, layout));
      }),
    ],
    processes: [NAME],
    verify: host => untilAnswered(host, wait, () => describe(host, layout)),
    bindings: {
      'postgres.host': '127.0.0.1',
      'postgres.port': layout.port,
      'postgres.username': layout.user,
      'postgres.database': layout.database,
      'postgres.password': `file:${layout.secret}`,
      'postgres.tls': false,
    },
  };
}

async function layoutOf({ host, place, config }: ServerContext): Promise<Layout> {
  const folder = join(place.root, 'servers', NAME);
  return {
    folder,
    data: join(folder, 'data'),
    port: place.ports.portOf('postgres'),
    runsAs: (await host.facts()).isRoot ? await serviceUser(host) : undefined,
    adminSecret: join(place.root, 'secrets/postgres-admin'),
    secret: join(place.root, 'secrets', NAME),
    user: config['postgres.username'],
    database: config['postgres.database'],
    software: await locateDebian(host, place.cache, SOFTWARE),
  };
}

function filesOf(layout: Layout): { readonly settings: ManagedFile; readonly logins: ManagedFile } {
  const rights = { mode: 0o600, ...(layout.runsAs === undefined ? {} : { owner: layout.runsAs }) };
  return {
    settings: {
      step: 'config',
      what: 'write the configuration of PostgreSQL',
      path: join(layout.folder, 'postgresql.conf'),
      rights,
      content: async () => configText(layout),
    },
    logins: {
      step: 'logins',
      what: 'write who may log in to PostgreSQL',
      path: join(layout.folder, 'pg_hba.conf'),
      rights,
      content: async () => LOGINS,
    },
  };
}

function processOf(layout: Layout, files: readonly ManagedFile[]): ServerProcess {
  const { folder, data, port, software, runsAs } = layout;
  return {
    spec: {
      name: NAME,
      argv: [software.pathOf(SOFTWARE.program), '-D', data, '-c', `config_file=${files[0]?.path}`],
      cwd: folder,
      env: software.env,
      logFile: join(folder, 'postgres.log'),
      // The fast stop: connections end, what was committed is written.
      stopSignal: 'SIGINT',
      stopMsMax: 10_000,
      ...(runsAs === undefined ? {} : { user: runsAs }),
    },
    files,
    ports: [port],
  };
}

/** What answers the pipeline's user; throws where it is not as it should be. */
async function describe(host: Host, layout: Layout): Promise<string> {
  const sql = 'SELECT current_setting($$server_version$$), current_setting($$server_encoding$$)';
  const { user, database, secret, port } = layout;
  const [version, encoding] = (await runSql(host, layout, { user, database, secret, sql })).trim().split('|');
  if (encoding !== 'UTF8') throw new MillraceError('ERR_NOT_READY', `its encoding is ${encoding}, not UTF8`);
  return `PostgreSQL ${version?.split(' ')[0]} on 127.0.0.1:${port}`;
}

/** The user of Debian's package where it is there, else the one that every system has for services. */
async function serviceUser(host: Host): Promise<string> {
  const { exitCode } = await host.exec(['id', '-u', 'postgres'], { timeoutMs: COMMAND_MS_MAX });
  return exitCode === 0 ? 'postgres' : 'nobody';
}

/** The data folder, as PostgreSQL's own tool makes it. */
function clusterPart(layout: Layout): Part {
  const { data, folder, runsAs, software, adminSecret } = layout;
  return {
    step: 'cluster',
    what: 'create the data folder of PostgreSQL',
    observe: async host =>
      (await host.stat(join(data, 'PG_VERSION'))) === undefined
        ? { before: null, after: 'an empty cluster' }
        : undefined,
    async apply({ host, signal }) {
      // Half of a cluster, left by a run that was cut off, is of no use.
      await host.remove(data);
      const owner = runsAs === undefined ? {} : { owner: runsAs };
      const passwordFile = join(folder, 'initial-password');
      await host.put(passwordFile, `${await readSecret(host, adminSecret)}\n`, { mode: 0o600, ...owner });
      try {
        await run(
          host,
          [
            software.pathOf(join(BIN, 'initdb')),
            ...['-D', data, '-U', ADMIN, '-E', 'UTF8', '--locale=C.UTF-8', '-A', 'scram-sha-256'],
            ...['--pwfile', passwordFile],
          ],
          { cwd: folder, env: software.env, signal, ...(runsAs === undefined ? {} : { user: runsAs }) },
        );
      } finally {
        await host.remove(passwordFile);
      }
    },
  };
}

/** The role and the database of the pipeline. The role may make others: user queries run as one that only reads. */
async function makeDatabase(host: Host, layout: Layout): Promise<void> {
  const { user, database, adminSecret, secret } = layout;
  const password = (await readSecret(host, secret)) ?? '';
  const role = identifier(user);
  const createRole = `CREATE ROLE ${role} LOGIN CREATEROLE`;
  const createDatabase = `CREATE DATABASE ${identifier(database)} OWNER ${role} ENCODING UTF8 TEMPLATE template0`;
  const sql = [
    `SELECT ${literal(createRole)}`,
    `  WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = ${literal(user)}) \\gexec`,
    `ALTER ROLE ${role} PASSWORD ${literal(password)};`,
    `SELECT ${literal(createDatabase)}`,
    `  WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = ${literal(database)}) \\gexec`,
    '',
  ].join('\n');
  await runSql(host, layout, { user: ADMIN, database: 'postgres', secret: adminSecret, sql });
}

interface Login {
  readonly user: string;
  readonly database: string;
  /** File of the password. */
  readonly secret: string;
  readonly sql: string;
}

/** Runs SQL by PostgreSQL's own client; the password goes through a file that only this login reads. */
async function runSql(host: Host, layout: Layout, { user, database, secret, sql }: Login): Promise<string> {
  const { port, software, adminSecret } = layout;
  const passwordFile = join(adminSecret, '..', `postgres-login-${user}`);
  const password = (await readSecret(host, secret)) ?? '';
  const escaped = (text: string) => text.replace(/[\\:]/g, '\\$&');
  const line = `127.0.0.1:${port}:${escaped(database)}:${escaped(user)}:${escaped(password)}\n`;
  await host.put(passwordFile, line, { mode: 0o600 });
  try {
    return await run(
      host,
      [
        software.pathOf(join(BIN, 'psql')),
        ...['-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', database],
        ...['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-f', '-'],
      ],
      { env: { ...software.env, PGPASSFILE: passwordFile }, input: sql },
    );
  } finally {
    await host.remove(passwordFile);
  }
}

async function run(
  host: Host,
  argv: readonly string[],
  options: Omit<Parameters<Host['exec']>[1], 'timeoutMs'>,
): Promise<string> {
  const { exitCode, stdout, stderr } = await host.exec(argv, { ...options, timeoutMs: COMMAND_MS_MAX });
  if (exitCode === 0) return stdout;
  const said = stderr.trim().split('\n').slice(-3).join('\n    ');
  throw new MillraceError('ERR_HOST_COMMAND', `${argv[0]} ended with ${exitCode}: ${said}`);
}

function configText({ port, data, folder }: Layout): string {
  return [
    '# Written by millrace: edits are undone by the next run.',
    `data_directory = ${literal(data)}`,
    `hba_file = ${literal(join(folder, 'pg_hba.conf'))}`,
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    "unix_socket_directories = ''",
    'max_connections = 60',
    "password_encryption = 'scram-sha-256'",
    // Compiling queries needs a library of a hundred megabytes, for queries longer than ours.
    'jit = off',
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    '',
  ].join('\n');
}

const LOGINS = [
  '# Written by millrace: edits are undone by the next run.',
  'host all all 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
