import type { PostgresOptions } from '../adapters/tables/postgres-connection.ts';
import { createQueryRunner } from '../adapters/tables/query-process.ts';
import { openTableReader, openTables } from '../adapters/tables/sqlite-tables.ts';
import type { OpenTables } from '../adapters/tables/table-store.ts';
import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { QueryRunner, TableReader } from '../core/ports.ts';
import type { StoreCheck } from '../core/store-check.ts';
import type { EnvironmentPaths } from './data-directory.ts';
import { refuseFindings } from './refuse-findings.ts';

/** Where an environment's tables are. */
interface TablesPlace {
  readonly config: Config;
  readonly environment: string;
  readonly paths: EnvironmentPaths;
}

/** Opens the tables for writing, their schema up to date. Clients of other servers are loaded only where used. */
export async function openWrittenTables({ config, paths }: TablesPlace): Promise<OpenTables> {
  if (config['tables.adapter'] === 'sqlite') return openTables(paths.tablesFile, Date.now());
  await needPostgres(config);
  const { openPostgresTables } = await import('../adapters/tables/postgres-tables.ts');
  return openPostgresTables(postgresOf(config), Date.now());
}

/** What answers questions about the tables, which must have been opened for writing before. */
export async function openReadTables(
  place: TablesPlace,
): Promise<{ readonly reader: TableReader; readonly queries: QueryRunner }> {
  const { config, environment, paths } = place;
  const context = { environment, redactEids: config['redact.eids'] };
  if (config['tables.adapter'] === 'sqlite') {
    const file = paths.tablesFile;
    return { reader: openTableReader({ file, ...context }), queries: createQueryRunner({ file, config }) };
  }
  const { openPostgresReader } = await import('../adapters/tables/postgres-tables.ts');
  const { createPostgresQueryRunner } = await import('../adapters/tables/postgres-query.ts');
  const server = postgresOf(config);
  return {
    reader: openPostgresReader(server, context),
    queries: createPostgresQueryRunner(server, config),
  };
}

/** Looks at the PostgreSQL of the configuration; changes nothing. Throws where it is not reached. */
export async function checkConfiguredPostgres(config: Config): Promise<StoreCheck> {
  const { checkPostgres } = await import('../adapters/tables/postgres-check.ts');
  return checkPostgres(postgresOf(config), { queriesMax: config['query.concurrentMax'] });
}

/** Throws what is wrong with PostgreSQL, by name; resolves with its version. What is only unwise `doctor` tells. */
export async function needPostgres(config: Config): Promise<string> {
  const found = await checkConfiguredPostgres(config);
  return refuseFindings(`${config['postgres.host']}:${config['postgres.port']}`, found);
}

/** Where PostgreSQL is and who asks. */
export function postgresOf(config: Config): PostgresOptions {
  return {
    host: config['postgres.host'],
    port: config['postgres.port'],
    database: config['postgres.database'],
    username: config['postgres.username'],
    password: config['postgres.password'] === '' ? '' : resolveSecret(config['postgres.password']),
    tls: config['postgres.tls'],
    caFile: config['postgres.caFile'],
    poolMax: config['postgres.poolMax'],
    statementMsMax: config['postgres.statementMsMax'],
  };
}
