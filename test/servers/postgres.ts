import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { isAlive, readProcessStat } from '../../src/adapters/host/process-stat.ts';
import type { PostgresOptions } from '../../src/adapters/tables/postgres-connection.ts';
import { bringUpServers } from './bring-up.ts';
import { startServers, type TestServers } from './servers.ts';

type Row = Readonly<Record<string, unknown>>;

/** A PostgreSQL that a test file has to itself. */
export interface TestPostgres {
  /** Folder of the environment; what a test puts in it goes with the server. */
  readonly folder: string;
  /** Folder of the databases. */
  readonly data: string;
  /** Options of a new database, empty, owned by a new user that may create roles and nothing else beyond it. */
  createDatabase(part?: Partial<PostgresOptions>): Promise<PostgresOptions>;
  /** Runs statements as the administrator, in the database `postgres` or another one. */
  administer(sql: string, database?: string): Promise<readonly Row[]>;
  /** The server's main process. */
  pid(): Promise<number>;
  /**
   * SIGKILL of all its processes; resolves when they have ended. A session outlives the main process for a moment, and
   * may answer one more statement.
   */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}; resolves when it answers. */
  start(): Promise<void>;
}

/** Of every user that a test makes. */
const TEST_PASSWORD = 'owner-of-a-test';

/** What tests are skipped with, or false. */
type Skip = string | false;

/**
 * Starts a PostgreSQL for a test file, stopped when that ends; called outside of tests. Where this machine lacks it
 * the second is the reason to skip, and the first must not be used.
 */
export async function startPostgres(): Promise<readonly [TestPostgres, Skip]> {
  const servers = await startServers(['postgres']);
  if ('skip' in servers) return [{} as TestPostgres, servers.skip];
  return [await describe(servers), false];
}

async function describe({ context, config }: TestServers): Promise<TestPostgres> {
  const folder = join(context.dataDirectory, context.environment);
  const password = (await readFile(join(folder, 'secrets/postgres-admin'), 'utf8')).trim();
  const address = { host: config['postgres.host'], port: config['postgres.port'] };
  const administer: TestPostgres['administer'] = async (sql, database = 'postgres') => {
    const client = new pg.Client({ ...address, user: 'postgres', password, database });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const pid = async (): Promise<number> => {
    const state = await context.host.process('postgres');
    assert.ok(state.pid !== null, 'the server runs');
    return state.pid;
  };
  let databases = 0;
  return {
    folder,
    data: join(folder, 'servers/postgres/data'),
    administer,
    pid,
    async createDatabase(part = {}) {
      const name = `test_${databases++}`;
      await administer(`CREATE ROLE ${name} LOGIN CREATEROLE PASSWORD '${TEST_PASSWORD}'`);
      await administer(`CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0 ENCODING 'UTF8'`);
      const login = { database: name, username: name, password: TEST_PASSWORD };
      return { ...address, ...login, tls: false, caFile: '', poolMax: 4, statementMsMax: 10_000, ...part };
    },
    async kill() {
      const main = await pid();
      // First: it starts no more of them.
      process.kill(main, 'SIGSTOP');
      const all = [main, ...(await childrenOf(main))];
      for (const one of all) process.kill(one, 'SIGKILL');
      for (const one of all) {
        // Ends: nothing outlives SIGKILL.
        while (await runs(one)) await new Promise(resolve => setTimeout(resolve, 5));
      }
    },
    async start() {
      await bringUpServers(context);
    },
  };
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').map(Number);
}

async function runs(pid: number): Promise<boolean> {
  const stat = await readProcessStat(`/proc/${pid}/stat`);
  return stat !== undefined && isAlive(stat);
}
