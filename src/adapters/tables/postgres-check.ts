import pg from 'pg';
import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import { READABLE_RELATIONS } from '../../core/relations.ts';
import type { StoreCheck, StoreFinding } from '../../core/store-check.ts';
import { nameOf, type PostgresOptions, withClient } from './postgres-connection.ts';
import { canLogIn, checkReader, missingCreateRole, readerOptions } from './postgres-reader-role.ts';

/** What a check may be told besides where the server is. */
export interface PostgresCheckOptions {
  /** Queries that a process runs at once, each with a connection of its own; 0 where it runs none. */
  readonly queriesMax?: number;
}

/** The oldest release whose settings we use. */
const VERSION_MIN = 13;
const CHECK_MS_MAX = 10_000;
/** What the server and its administrator need beside ours. */
const SPARE_CONNECTIONS = 10;

interface Facts {
  readonly versionNumber: number;
  readonly version: string;
  readonly encoding: string;
  /** Where tables are created; null where the user may use no schema. */
  readonly schema: string | null;
  readonly mayCreate: boolean;
  readonly mayMakeRoles: boolean;
  readonly isReadOnly: boolean;
  readonly connectionsMax: number;
  /** Tables of ours that belong to somebody else. */
  readonly foreignTables: readonly string[];
  readonly hasReader: boolean;
  readonly readerProblem: MillraceError | undefined;
}

/**
 * Looks at a PostgreSQL before it is relied on: its version, whether it takes writes, the encoding, and what the user
 * may do: create the tables, and the role that SQL of users runs as. Changes nothing. Throws ERR_STORE_UNAVAILABLE and
 * ERR_STORE_AUTH where it is not reached; everything else is a finding.
 */
export async function checkPostgres(
  options: PostgresOptions,
  { queriesMax = 0 }: PostgresCheckOptions = {},
): Promise<StoreCheck> {
  const facts = await readFacts(options);
  const findings = [
    ...setUpFindings(options, facts),
    ...rightsFindings(options, facts),
    ...(await readerFindings(options, facts)),
    ...connectionFindings(options, facts, queriesMax),
  ];
  return {
    version: `PostgreSQL ${facts.version}`,
    findings: findings.toSorted((a, b) => a.severity.localeCompare(b.severity)),
  };
}

const FACTS_SQL = `
  SELECT
    current_setting('server_version_num') AS version_number,
    split_part(current_setting('server_version'), ' ', 1) AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('max_connections') AS connections_max,
    current_setting('default_transaction_read_only') AS read_only,
    pg_is_in_recovery()::integer AS in_recovery,
    current_schema() AS schema,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)::integer AS may_create,
    (SELECT (rolsuper OR rolcreaterole)::integer FROM pg_roles WHERE rolname = current_user) AS may_make_roles`;

const FOREIGN_SQL = `
  SELECT relname FROM pg_class
  WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1) AND NOT pg_has_role(relowner, 'USAGE')
  ORDER BY relname`;

function readFacts(options: PostgresOptions): Promise<Facts> {
  return withClient(options, { statementMsMax: CHECK_MS_MAX, isReadOnly: false }, async client => {
    const { rows } = await client.query(FACTS_SQL);
    const [row] = rows;
    const foreign = await client.query(FOREIGN_SQL, [
      ['migrations', 'migration_digests', ...READABLE_RELATIONS],
    ]);
    const reader = await checkReader(client, options).catch(error => {
      if (error instanceof MillraceError) return error;
      throw error;
    });
    return {
      versionNumber: Number(row?.version_number),
      version: String(row?.version),
      encoding: String(row?.encoding),
      schema: row?.schema ?? null,
      mayCreate: row?.may_create === 1,
      mayMakeRoles: row?.may_make_roles === 1,
      isReadOnly: row?.in_recovery === 1 || row?.read_only === 'on',
      connectionsMax: Number(row?.connections_max),
      foreignTables: foreign.rows.map(({ relname }) => String(relname)),
      hasReader: reader === true,
      readerProblem: reader instanceof MillraceError ? reader : undefined,
    };
  });
}

function setUpFindings(options: PostgresOptions, facts: Facts): readonly StoreFinding[] {
  const findings: StoreFinding[] = [];
  if (facts.versionNumber < VERSION_MIN * 10_000) {
    const problem = `PostgreSQL ${facts.version} is older than ${VERSION_MIN}`;
    findings.push(errorFinding('ERR_NOT_READY', problem, 'Upgrade PostgreSQL.'));
  }
  if (facts.encoding !== 'UTF8') {
    const problem = `the database ${options.database} has the encoding ${facts.encoding}, which not all texts fit`;
    const owner = quoted(options.username);
    const remedy = `Use one of UTF8: CREATE DATABASE … OWNER ${owner} TEMPLATE template0 ENCODING 'UTF8';`;
    findings.push(errorFinding('ERR_NOT_READY', problem, remedy));
  }
  if (facts.isReadOnly) {
    const remedy = 'Point postgres.host to the primary, or end its read-only mode.';
    findings.push(errorFinding('ERR_STORE_READ_ONLY', `${nameOf(options)} takes no writes`, remedy));
  }
  return findings;
}

function rightsFindings(options: PostgresOptions, facts: Facts): readonly StoreFinding[] {
  const findings: StoreFinding[] = [];
  if (facts.schema === null || !facts.mayCreate) {
    const schema = facts.schema ?? 'public';
    const problem = `${options.username} may not create tables in the schema ${schema} of ${options.database}`;
    const rights = `GRANT USAGE, CREATE ON SCHEMA ${quoted(schema)} TO ${quoted(options.username)}`;
    const remedy = `As an administrator: ${rights};`;
    findings.push(errorFinding('ERR_STORE_RIGHTS', problem, remedy));
  }
  if (facts.foreignTables.length > 0) {
    const [first = ''] = facts.foreignTables;
    const problem = `${options.username} does not own ${facts.foreignTables.join(', ')}`;
    const remedy = `As an administrator, for each: ALTER TABLE ${quoted(first)} OWNER TO ${quoted(options.username)};`;
    findings.push(errorFinding('ERR_STORE_RIGHTS', problem, remedy));
  }
  return findings;
}

/** Whether SQL of users could run; where the reader is missing or has another password it would be made then. */
async function readerFindings(options: PostgresOptions, facts: Facts): Promise<readonly StoreFinding[]> {
  if (facts.readerProblem !== undefined) return [findingOf(facts.readerProblem)];
  if (facts.mayMakeRoles) return [];
  if (facts.hasReader && (await canLogIn(readerOptions(options)))) return [];
  return [findingOf(missingCreateRole(options))];
}

function connectionFindings(
  options: PostgresOptions,
  facts: Facts,
  queriesMax: number,
): readonly StoreFinding[] {
  const ours = options.poolMax + queriesMax;
  if (facts.connectionsMax >= ours + SPARE_CONNECTIONS) return [];
  const problem = `max_connections is ${facts.connectionsMax}, and one process may take ${ours}`;
  const remedy = `Raise max_connections to ${ours + SPARE_CONNECTIONS}, or lower postgres.poolMax.`;
  return [{ code: 'ERR_NOT_READY', severity: 'warning', problem, remedy }];
}

function errorFinding(code: ErrorCode, problem: string, remedy: string): StoreFinding {
  return { code, severity: 'error', problem, remedy };
}

function findingOf(error: MillraceError): StoreFinding {
  return errorFinding(error.code, error.why, error.remedy);
}

function quoted(name: string): string {
  return pg.escapeIdentifier(name);
}
