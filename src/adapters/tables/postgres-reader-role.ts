import { createHmac } from 'node:crypto';
import pg from 'pg';
import { scramVerifier } from '../../config/scram-verifier.ts';
import { MillraceError } from '../../core/errors.ts';
import { READABLE_RELATIONS } from '../../core/relations.ts';
import { type PostgresOptions, withClient } from './postgres-connection.ts';
import { sqlStateOf } from './postgres-error.ts';
import { makeJsonOperators } from './postgres-json-operators.ts';

/** What queries need to know of the database. */
export interface ReaderRole {
  /** How queries log in. */
  readonly options: PostgresOptions;
  /** Where the relations are. */
  readonly schema: string;
}

/** PostgreSQL cuts longer names. */
const NAME_BYTES_MAX = 63;
const SUFFIX = '_reader';
/** `mill` in ASCII, and which of our locks. */
const ROLE_LOCK = '1835625580, 2';
const PREPARE_MS_MAX = 10_000;
const MISSING_RIGHT = '42501';
/** Another database of the server has made the role meanwhile: the lock is a database's own, roles are not. */
const MADE_BY_ANOTHER: readonly string[] = ['42710', '23505'];

/**
 * The role that queries log in as, `<user>_reader`: it owns nothing, is a member of nothing and may SELECT from the
 * relations. Being who logs in, and not a role that was changed to, it has nothing to go back to.
 *
 * Its password is a keyed digest of the owner's: every process that may write knows it, none takes it from another,
 * and no place stores it. It changes with the owner's. Where the owner has none (the server trusts the address) it
 * has none.
 */
export function readerOptions(options: PostgresOptions): PostgresOptions {
  const head = Buffer.from(options.username).subarray(0, NAME_BYTES_MAX - SUFFIX.length);
  const password = createHmac('sha256', options.password).update('millrace reader').digest('base64url');
  return {
    ...options,
    // A character that the cut has halved goes.
    username: `${head.toString('utf8').replace(/\ufffd$/, '')}${SUFFIX}`,
    password: options.password === '' ? '' : password,
  };
}

/**
 * Makes the role where it is missing, gives it its password where that has changed, and lets it read the
 * relations, with the operators that SQL of users may expect. Throws ERR_STORE_RIGHTS where the owner may not make
 * it, and where the role may do more than read.
 */
export async function prepareReader(options: PostgresOptions): Promise<ReaderRole> {
  const reader = readerOptions(options);
  const use = { statementMsMax: PREPARE_MS_MAX, isReadOnly: false };
  const prepare = (): Promise<string> =>
    withClient(options, use, client =>
      inLockedTransaction(client, async () => {
        if (!(await checkReader(client, options))) await setPassword(client, 'CREATE', options);
        await makeJsonOperators(client);
        return grantReading(client, reader);
      }),
    );
  const schema = await prepare().catch(error => {
    if (!MADE_BY_ANOTHER.includes(sqlStateOf(error instanceof Error ? error.cause : error) ?? ''))
      throw error;
    return prepare();
  });
  if (!(await canLogIn(reader))) {
    await withClient(options, use, client =>
      inLockedTransaction(client, () => setPassword(client, 'ALTER', options)),
    );
  }
  return { options: reader, schema };
}

/** False where the server knows another password of it, or none. */
export async function canLogIn(reader: PostgresOptions): Promise<boolean> {
  try {
    await withClient(reader, { statementMsMax: PREPARE_MS_MAX, isReadOnly: true }, async () => {});
    return true;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_STORE_AUTH') return false;
    throw error;
  }
}

/** Whether the owner's reader exists; throws ERR_STORE_RIGHTS where it is more than a reader. */
export async function checkReader(client: pg.ClientBase, options: PostgresOptions): Promise<boolean> {
  const { username } = readerOptions(options);
  const { rows } = await client.query(
    `SELECT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)::integer AS is_mighty,
       (EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid))::integer AS is_member
     FROM pg_roles WHERE rolname = $1`,
    [username],
  );
  const [row] = rows;
  if (row === undefined) return false;
  if (row.is_mighty === 0 && row.is_member === 0) return true;
  const bounds = 'NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS';
  const change = `ALTER ROLE ${pg.escapeIdentifier(username)} ${bounds}`;
  throw new MillraceError(
    'ERR_STORE_RIGHTS',
    `SQL of users would run as ${username}, which may do more than read`,
    { remedy: `As an administrator: ${change}; and REVOKE the roles it is a member of.` },
  );
}

/** What an owner is refused with that may not make or change its reader. */
export function missingCreateRole(options: PostgresOptions, cause?: unknown): MillraceError {
  const { username } = readerOptions(options);
  const why = `${options.username} may not create or change the role ${username}, as which SQL of users runs`;
  const change = `ALTER ROLE ${pg.escapeIdentifier(options.username)} CREATEROLE`;
  return new MillraceError('ERR_STORE_RIGHTS', why, {
    cause,
    remedy: `As an administrator: ${change}; it may be taken back after the first query.`,
  });
}

async function inLockedTransaction<T>(client: pg.ClientBase, call: () => Promise<T>): Promise<T> {
  await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${ROLE_LOCK})`);
  const result = await call();
  await client.query('COMMIT');
  return result;
}

/** Sends what the server would store, not the password: statements may come into its log. */
async function setPassword(
  client: pg.ClientBase,
  verb: 'CREATE' | 'ALTER',
  options: PostgresOptions,
): Promise<void> {
  const { username, password } = readerOptions(options);
  const stored = password === '' ? 'NULL' : `'${scramVerifier(password)}'`;
  try {
    await client.query(`${verb} ROLE ${pg.escapeIdentifier(username)} LOGIN PASSWORD ${stored}`);
  } catch (cause) {
    throw sqlStateOf(cause) === MISSING_RIGHT ? missingCreateRole(options, cause) : cause;
  }
}

/** Resolves with the schema that the relations are in. */
async function grantReading(client: pg.ClientBase, reader: PostgresOptions): Promise<string> {
  const { rows } = await client.query('SELECT current_schema() AS schema');
  const schema = String(rows[0]?.schema);
  const [place, role] = [pg.escapeIdentifier(schema), pg.escapeIdentifier(reader.username)];
  const relations = READABLE_RELATIONS.map(relation => `${place}.${relation}`).join(', ');
  await client.query(`
    GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(reader.database)} TO ${role};
    GRANT USAGE ON SCHEMA ${place} TO ${role};
    GRANT SELECT ON ${relations} TO ${role}`);
  return schema;
}
