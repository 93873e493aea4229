import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { readSecret } from './managed-file.ts';

/** Where a PostgreSQL lies and who is who in it. */
export interface PostgresPlace {
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  /** The OS user that it runs as. */
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  /** The path of one of its programs: `psql`. */
  programOf(name: string): string;
  /** In the format of `.pgpass`. */
  readonly passwordsFile: string;
  readonly adminSecretFile: string;
  /** The administrator's next password, from when it is drawn until the server has taken it. */
  readonly adminNextFile: string;
  readonly secretFile: string;
  /** The pipeline's role. */
  readonly role: string;
  readonly database: string;
}

/** The superuser: used by us alone, to create the pipeline's role. */
export const ADMIN = 'postgres';

const QUERY_MS_MAX = 20_000;

/** Runs SQL through psql's standard input, over the network as anybody would; resolves with what it printed. */
async function queryAs(host: Host, postgres: PostgresPlace, role: string, sql: string): Promise<string> {
  const database = role === ADMIN ? 'postgres' : postgres.database;
  const argv = [
    postgres.programOf('psql'),
    // No file of the operator's, no question for a password, bare values, the first error ends it.
    ...['-X', '-w', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1'],
    ...['-h', '127.0.0.1', '-p', String(postgres.port), '-U', role, '-d', database],
  ];
  const env = { ...postgres.env, PGPASSFILE: postgres.passwordsFile, PGCONNECT_TIMEOUT: '10' };
  const { exitCode, stdout, stderr } = await host.exec(argv, { env, input: sql, timeoutMs: QUERY_MS_MAX });
  if (exitCode === 0) return stdout.trim();
  throw new MillraceError('ERR_NOT_READY', `PostgreSQL says to ${role}: ${stderr.trim().slice(0, 500)}`);
}

/**
 * As {@link queryAs} with the administrator. Where a rotation was cut off, the server may have the next password
 * already: one of the two is right.
 */
export async function queryAsAdmin(host: Host, postgres: PostgresPlace, sql: string): Promise<string> {
  try {
    return await queryAs(host, postgres, ADMIN, sql);
  } catch (error) {
    const next = await readSecret(host, postgres.adminNextFile);
    const isRefused = error instanceof MillraceError && error.why.includes('password authentication failed');
    if (next === undefined || !isRefused) throw error;
    const passwordsFile = `${postgres.passwordsFile}.next`;
    await host.put(passwordsFile, passwordLine(postgres.port, ADMIN, next), { mode: 0o600 });
    try {
      return await queryAs(host, { ...postgres, passwordsFile }, ADMIN, sql);
    } finally {
      await host.remove(passwordsFile);
    }
  }
}

/** A line of the format of `.pgpass`. */
export function passwordLine(port: number, user: string, secret: string): string {
  const words = ['127.0.0.1', String(port), '*', user, secret];
  return `${words.map(word => word.replace(/[:\\]/g, '\\$&')).join(':')}\n`;
}

/** Logs in as the pipeline does; throws where that fails, or the role may do more or less than it should. */
export async function describeLogin(
  host: Host,
  postgres: PostgresPlace,
): Promise<{ readonly version: string }> {
  const answer = await queryAs(
    host,
    postgres,
    postgres.role,
    `SELECT current_setting('server_version'), rolsuper, rolcreaterole, rolcreatedb,
       pg_catalog.pg_get_userbyid(datdba) = rolname
     FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`,
  );
  const [version = '', ...rights] = answer.split('|');
  if (rights.join('') === 'ftft') return { version: version.split(' ')[0] ?? version };
  throw new MillraceError(
    'ERR_NOT_READY',
    `${postgres.role} has other rights than it should (superuser, roles, databases, owner: ${rights.join(' ')})`,
  );
}
