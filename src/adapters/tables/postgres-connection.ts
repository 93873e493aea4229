import { readFileSync } from 'node:fs';
import pg from 'pg';
import { MillraceError } from '../../core/errors.ts';
import { postgresError } from './postgres-error.ts';
import { decodeText } from './postgres-text.ts';

/** How PostgreSQL is reached, and what may be asked of it. */
export interface PostgresOptions {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
  /** The secret itself; empty where the server asks for none. */
  readonly password: string;
  readonly tls: boolean;
  /** PEM file of the authority that signed the server; empty: those the system trusts. */
  readonly caFile: string;
  /** Connections of this process for the sinks and the look-ups together, at least 2; queries have their own. */
  readonly poolMax: number;
  /** Longest a statement of the sinks or a look-up may take. */
  readonly statementMsMax: number;
}

/** What a connection is for. */
export interface ConnectionUse {
  readonly statementMsMax: number;
  readonly isReadOnly: boolean;
}

/**
 * Longer than a server takes that has to start a process while others hold the cores: with 5 s `up` gave up on one that
 * had just answered, at a load of 12. One that is not there refuses at once.
 */
const CONNECT_MS_MAX = 15_000;
/** The client gives up this much after the server should have: only where nothing comes from it any more. */
const ANSWER_MS_MAX = 5_000;
const APPLICATION = 'millrace';

const NUMBER_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);

/** The server as errors name it; holds no secret. */
export function nameOf({ host, port, database, username }: PostgresOptions): string {
  return `PostgreSQL ${username}@${host}:${port}/${database}`;
}

/**
 * The client's settings. Each is given, so that the client takes none from environment variables or files of its
 * own; what a statement relies on is set for the session, whatever the server's defaults are.
 */
export function clientConfig(options: PostgresOptions, use: ConnectionUse): pg.ClientConfig {
  const { statementMsMax, isReadOnly } = use;
  return {
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.username,
    password: () => options.password,
    ssl: options.tls ? tlsOptions(options.caFile) : false,
    application_name: APPLICATION,
    client_encoding: 'UTF8',
    options:
      '-c datestyle=ISO -c timezone=UTC -c bytea_output=hex -c standard_conforming_strings=on' +
      (isReadOnly ? ' -c default_transaction_read_only=on' : ''),
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    statement_timeout: statementMsMax,
    query_timeout: statementMsMax + ANSWER_MS_MAX,
    types: { getTypeParser: columnParser },
  };
}

/** Runs the call with a connection of its own, which is closed after it. */
export async function withClient<T>(
  options: PostgresOptions,
  use: ConnectionUse,
  call: (client: pg.Client) => Promise<T>,
): Promise<T> {
  try {
    const client = new pg.Client(clientConfig(options, use));
    // What breaks the connection also fails the statement that waits on it, or the next one.
    client.on('error', () => {});
    try {
      await client.connect();
      return await call(client);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw postgresError(error, nameOf(options));
  }
}

/** The SQL with `$1`, `$2`, … for its `?`, of which texts and names in it hold none. */
export function numbered(sql: string): string {
  let number = 0;
  return sql.replace(/\?/g, () => `$${++number}`);
}

function tlsOptions(caFile: string): { readonly rejectUnauthorized: true; readonly ca?: string } {
  if (caFile === '') return { rejectUnauthorized: true };
  try {
    return { rejectUnauthorized: true, ca: readFileSync(caFile, 'utf8') };
  } catch (cause) {
    throw new MillraceError('ERR_FILE_UNREADABLE', `postgres.caFile ${caFile}: ${String(cause)}`, { cause });
  }
}

/** Integers come as numbers (ours are below 2^53), everything else as text. */
function columnParser(oid: number): (text: string) => number | string {
  return NUMBER_OIDS.has(oid) ? Number : decodeText;
}
