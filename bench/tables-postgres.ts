import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import type { PostgresOptions } from '../src/adapters/tables/postgres-connection.ts';
import { openPostgresTables } from '../src/adapters/tables/postgres-tables.ts';
import { composeHost } from '../src/cli/compose-servers.ts';
import { cacheDirectory } from '../src/config/environment.ts';
import { type Config, OPTIONS, type OptionKey } from '../src/config/options.ts';
import { resolveSecret } from '../src/config/secret.ts';
import { MillraceError } from '../src/core/errors.ts';
import type { LogRecord } from '../src/core/record.ts';
import { RELATIONS, type TableRow } from '../src/core/relations.ts';
import { type ServersContext, stopServers } from '../src/operations/provision/servers.ts';
import { tableRowsOf } from '../src/runtime/tables/table-rows.ts';
import { bringUpServers } from '../test/servers/bring-up.ts';
import { benchBatch, MASTER_DATA } from './corpus.ts';
import { cpuUs, type Figure } from './figure.ts';

const EVENTS = 20_000;
/** Of `tables.batchRowsMax`. */
const BATCH_ROWS = 2_000;
const ROUNDS = 3;
const T0_MS = 1_718_000_000_000;

/**
 * Events as they leave the chain, about 1.5 KB each, into an empty table of a PostgreSQL of its own: as the sink
 * stores them, and as one COPY by psql of the same rows into a table with the same indexes. By turns, the best of
 * three each; and the same events once more, as after a crash.
 */
export async function run(): Promise<readonly Figure[]> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  // The server may run as another user inside it.
  await chmod(dataDirectory, 0o711);
  const context = contextOf(dataDirectory);
  try {
    const { servers, bindings } = await bringUpServers(context);
    try {
      return await measure(context, optionsOf({ ...context.config, ...bindings }));
    } finally {
      await stopServers(context.host, servers);
    }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'ERR_TOOL_MISSING') throw error;
    process.stdout.write(`  skipped: needs PostgreSQL: ${error.why}\n`);
    return [];
  } finally {
    await rm(dataDirectory, { recursive: true });
  }
}

async function measure(context: ServersContext, options: PostgresOptions): Promise<readonly Figure[]> {
  const records = recordsOf(EVENTS);
  const tables = await openPostgresTables(options, T0_MS);
  const client = new pg.Client({ ...options, user: options.username });
  await client.connect();
  const copy = await psqlCopy(context, options, records);
  const best = { copy: 0, stored: 0, repeated: 0, cpuUs: Number.POSITIVE_INFINITY };
  const store = async () => {
    for (let at = 0; at < records.length; at += BATCH_ROWS) {
      await tables.insert(records.slice(at, at + BATCH_ROWS).flatMap(rowsOf));
    }
  };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await client.query('DROP TABLE IF EXISTS plain; CREATE TABLE plain (LIKE events INCLUDING ALL)');
      best.copy = Math.max(best.copy, await rateOf(async () => copy()));
      await client.query('TRUNCATE events');
      const startedUs = cpuUs();
      best.stored = Math.max(best.stored, await rateOf(store));
      best.cpuUs = Math.min(best.cpuUs, (cpuUs() - startedUs) / EVENTS);
      best.repeated = Math.max(best.repeated, await rateOf(store));
    }
    const { rows } = await client.query('SELECT count(*)::integer AS events FROM events');
    if (rows[0]?.events !== EVENTS) throw new Error(`${rows[0]?.events} of ${EVENTS} events were stored`);
  } finally {
    await client.end();
    await tables.close();
  }
  return [
    { name: 'COPY by psql, same rows and indexes', value: best.copy, unit: '/s' },
    { name: 'events stored', value: best.stored, unit: '/s', goal: { atLeast: 10_000 } },
    { name: 'events stored / COPY', value: best.stored / best.copy, unit: 'ratio' },
    { name: 'events that were there already', value: best.repeated, unit: '/s' },
    { name: 'CPU of the sink for an event', value: best.cpuUs, unit: 'us' },
  ];
}

async function rateOf(call: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await call();
  return EVENTS / ((performance.now() - startedMs) / 1000);
}

/** Events of the corpus with master data, as records of the last topic. */
function recordsOf(count: number): readonly LogRecord[] {
  const { device, user, content } = MASTER_DATA;
  const data = { devicedata: device, userdata: user, contentdata: content };
  const { events } = JSON.parse(new TextDecoder().decode(benchBatch(0, count))) as { events: object[] };
  return events.map((event, at) => ({
    topic: 'local.druid.events.telemetry',
    partition: at % 4,
    offset: Math.floor(at / 4),
    key: null,
    timeMs: T0_MS + at,
    headers: {},
    value: Buffer.from(JSON.stringify({ ...event, ...data })),
  }));
}

function rowsOf(record: LogRecord): readonly TableRow[] {
  return tableRowsOf(record, 'local');
}

/** Writes the rows to a file beforehand; the call copies it into `plain`. */
async function psqlCopy(
  { host, root }: ServersContext,
  options: PostgresOptions,
  records: readonly LogRecord[],
): Promise<() => void> {
  const file = join(root, 'rows');
  const escapes: Readonly<Record<string, string>> = {
    '\\': '\\\\',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
  };
  const lines = records
    .flatMap(rowsOf)
    .map(({ values }) =>
      values
        .map(value => (value === null ? '\\N' : String(value).replace(/[\\\n\r\t]/g, one => escapes[one]!)))
        .join('\t'),
    );
  await writeFile(file, `${lines.join('\n')}\n`);
  const { pid } = await host.process('postgres');
  const programs = dirname(await readlink(`/proc/${pid}/exe`));
  const columns = RELATIONS.events.map(column => `"${column}"`).join(', ');
  const address = `host=${options.host} port=${options.port} user=${options.username} dbname=${options.database}`;
  const argv = [
    '-XwqAt',
    '-v',
    'ON_ERROR_STOP=1',
    '-d',
    address,
    '-c',
    `\\copy plain (${columns}) FROM '${file}'`,
  ];
  const env = {
    PGPASSFILE: join(root, 'secrets/postgres-passwords'),
    // Of a server that was unpacked rather than installed.
    LD_LIBRARY_PATH: join(programs, '../../../x86_64-linux-gnu'),
  };
  return () => {
    const { status, stderr } = spawnSync(join(programs, 'psql'), argv, { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`psql: ${stderr}`);
  };
}

function contextOf(dataDirectory: string): ServersContext {
  const keys = Object.keys(OPTIONS) as OptionKey[];
  const defaults: Config = Object.assign({}, ...keys.map(key => ({ [key]: OPTIONS[key].fallback })));
  const config: Config = { ...defaults, 'tables.adapter': 'postgresql', 'postgres.target': 'host' };
  const environment = 'bench';
  const root = join(dataDirectory, environment);
  return { host: composeHost(root), config, environment, root, cache: cacheDirectory() };
}

function optionsOf(config: Config): PostgresOptions {
  return {
    host: config['postgres.host'],
    port: config['postgres.port'],
    database: config['postgres.database'],
    username: config['postgres.username'],
    password: resolveSecret(config['postgres.password']),
    tls: false,
    caFile: '',
    poolMax: config['postgres.poolMax'],
    statementMsMax: config['postgres.statementMsMax'],
  };
}
