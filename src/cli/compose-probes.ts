import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { openCacheOwner } from '../adapters/cache/sqlite-cache.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../adapters/log/embedded-log.ts';
import { takeOwnership } from '../adapters/log/owner-lock.ts';
import { openEmbeddedState } from '../adapters/state/embedded-state.ts';
import { immutable } from '../adapters/tables/migration-state.ts';
import { createQueryRunner } from '../adapters/tables/query-process.ts';
import { openTables } from '../adapters/tables/sqlite-tables.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import type { JsonObject } from '../core/event.ts';
import type { Host } from '../core/host.ts';
import type { TopicSpec } from '../core/ports.ts';
import { fullTopic, topicKind } from '../core/topics.ts';
import { createLogger } from '../observability/logger.ts';
import { expectThat } from '../operations/engine/expect.ts';
import type { Component, SitePaths } from '../operations/engine/site.ts';
import { declaredTopics } from './declared-topics.ts';
import { logLimitsOf } from './log-limits.ts';

/** What components are tried with. */
export interface ProbeContext {
  readonly config: Config;
  readonly environment: string;
  readonly paths: SitePaths;
  readonly host: Host;
}

/** Tries a component that no other process has open; see `Site.probe`. */
export async function probeComponent(component: Component, context: ProbeContext): Promise<JsonObject> {
  switch (component) {
    case 'log':
      return probeLog(context);
    case 'database':
      return probeDatabase(context.paths.tablesFile);
    case 'archive':
      return probeFolder(context.host, context.paths.archive);
    case 'threads':
      return probeThread();
    default:
      return inScratch(context.paths, component, folder => SCRATCH_PROBES[component](folder, context));
  }
}

/** Opens the log, hands it over, closes it. Throws ERR_OWNED where another process has it. */
export async function withLog<T>(
  { config, environment, paths }: Omit<ProbeContext, 'host'>,
  topics: readonly TopicSpec[],
  work: (log: EmbeddedLog) => Promise<T>,
): Promise<T> {
  const owner = await takeOwnership(paths.root);
  try {
    const log = await openEmbeddedLog({
      directory: paths.log,
      topics,
      ...logLimitsOf(config),
      logger: createLogger(config['observability.logLevel'], `${environment} operations`),
    });
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  } finally {
    owner.release();
  }
}

/** Writes a record to a topic that no job reads and reads it back. */
async function probeLog(context: ProbeContext): Promise<JsonObject> {
  const { config, environment } = context;
  return withLog(context, declaredTopics(config, environment), async log => {
    const topic = fullTopic(environment, 'operations.probe');
    const value = Buffer.from(`probe ${process.pid}`);
    const record = { key: null, timeMs: Date.now(), headers: {}, value };
    const { baseOffsets } = await log.commit({ appends: [{ topic, partition: 0, records: [record] }] });
    const [read] = await log.read(topic, 0, baseOffsets[0]!, 1);
    expectThat(
      read !== undefined && Buffer.from(read.value).equals(value),
      'a record that was written is not read back',
    );
    return { topic, offset: baseOffsets[0]! };
  });
}

/** Writes a row in a transaction that is rolled back; the file is the environment's own. */
function probeDatabase(file: string): JsonObject {
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    database.exec('BEGIN IMMEDIATE; CREATE TABLE operations_probe (value TEXT NOT NULL)');
    database.exec("INSERT INTO operations_probe (value) VALUES ('probe')");
    const row = database.prepare('SELECT value FROM operations_probe').get();
    database.exec('ROLLBACK');
    expectThat(row?.['value'] === 'probe', 'a row that was written is not read back');
    return { sqlite: String(database.prepare('SELECT sqlite_version() AS version').get()?.['version']) };
  } finally {
    database.close();
  }
}

/** Write, list, read and delete, in the folder itself. */
async function probeFolder(host: Host, folder: string): Promise<JsonObject> {
  // Begins with a dot, so that no reader takes it for an object.
  const name = `.probe-${process.pid}`;
  const file = join(folder, name);
  await host.put(file, name, { mode: 0o600 });
  expectThat((await host.list(folder)).includes(name), `${folder} does not list what was written`);
  const read = await host.read(file);
  await host.remove(file);
  const isSame = read !== undefined && Buffer.from(read).toString('utf8') === name;
  expectThat(isSame, `${folder} does not read back what was written`);
  expectThat(!(await host.list(folder)).includes(name), `${folder} still lists what was deleted`);
  return { write: true, list: true, delete: true };
}

async function probeThread(): Promise<JsonObject> {
  const worker = new Worker("require('node:worker_threads').parentPort.postMessage('works')", { eval: true });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  worker.once('message', resolve);
  worker.once('error', reject);
  const said = await promise;
  await worker.terminate();
  expectThat(said === 'works', 'a thread does not answer');
  return { threads: true };
}

type ScratchProbe = (folder: string, context: ProbeContext) => Promise<JsonObject>;

const SCRATCH_PROBES: Readonly<
  Record<Exclude<Component, 'log' | 'database' | 'archive' | 'threads'>, ScratchProbe>
> = {
  async ownership(folder) {
    const owner = await takeOwnership(folder);
    const second = await takeOwnership(folder).catch((error: unknown) => error);
    owner.release();
    expectThat(
      second instanceof MillraceError && second.code === 'ERR_OWNED',
      'a second owner was let in beside the first',
    );
    (await takeOwnership(folder)).release();
    return { exclusive: true };
  },
  async state(folder, { config }) {
    const state = await openEmbeddedState({
      directory: folder,
      ttlMs: config['dedup.ttlMs'],
      marksFrom: async function* () {},
      keepFrom: () => undefined,
      warn: () => undefined,
    });
    const key = { space: 'event', key: 'probe' } as const;
    const [before] = await state.seen([key]);
    const source = { topic: 'probe', partition: 0, offset: 0, index: 0 };
    await state.mark([{ ...key, source, timeMs: 1000 }]);
    await state.committed(1);
    const [after] = await state.seen([key]);
    await state.close();
    expectThat(before === undefined && after !== undefined, 'a mark that was set is not seen');
    const livesMs = after.expiresAtMs - 1000;
    expectThat(livesMs >= config['dedup.ttlMs'], `a mark lives ${livesMs} ms`);
    return { ttlMs: config['dedup.ttlMs'] };
  },
  async cache(folder) {
    const cache = openCacheOwner(join(folder, 'cache.sqlite'));
    try {
      await cache.put('device', [{ key: 'probe', value: { os: 'probe' } }]);
      const [row] = await cache.get([{ dataset: 'device', key: 'probe' }]);
      expectThat(row?.['os'] === 'probe', 'a row that was loaded is not read back');
      return { rows: 1 };
    } finally {
      await cache.close();
    }
  },
  async tables(folder) {
    const tables = await openTables(join(folder, 'tables.sqlite'), Date.now());
    try {
      const expired = await tables.expire(Date.now(), 1);
      return { expired };
    } finally {
      await tables.close();
    }
  },
  async query(folder, { config }) {
    const file = join(folder, 'tables.sqlite');
    await (await openTables(file, Date.now())).close();
    const queries = createQueryRunner({ file, config });
    try {
      const { rows } = await queries.run('SELECT count(*) AS events FROM events');
      expectThat(rows[0]?.['events'] === 0, `an empty relation counts ${String(rows[0]?.['events'])}`);
      return { query: true };
    } finally {
      await queries.close();
    }
  },
};

async function inScratch<T>(
  paths: SitePaths,
  name: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(paths.operations, `scratch-${name}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What of the operator's a component holds; see `Site.holds`. */
export async function holdingsOf(
  component: 'log' | 'cache' | 'database' | 'archive',
  context: ProbeContext,
): Promise<string | null> {
  const { paths, host, config, environment } = context;
  if (component === 'archive') {
    const names = (await host.list(paths.archive)).filter(name => !name.startsWith('.'));
    return names.length === 0 ? null : `${names.length} folders of archive objects`;
  }
  if (component === 'log') {
    if ((await host.list(paths.log)).length === 0) return null;
    return withLog(context, declaredTopics(config, environment), async log => {
      const { topics } = await log.describe();
      const own = topics.filter(({ topic }) => topicKind(topic.slice(environment.length + 1)) !== 'internal');
      const records = own.flatMap(({ partitions }) => partitions).reduce((sum, row) => sum + row.records, 0);
      return records === 0 ? null : `${records} records`;
    });
  }
  const [file, tables] =
    component === 'cache'
      ? [paths.cacheFile, ['master_rows']]
      : [paths.tablesFile, ['events', 'failed', 'duplicates', 'dropped', 'archive_objects']];
  if ((await host.stat(file)) === undefined) return null;
  return rowsIn(file, tables);
}

function rowsIn(file: string, tables: readonly string[]): string | null {
  const place = existsSync(`${file}-wal`) ? file : immutable(file);
  const database = new DatabaseSync(place, { readOnly: true, timeout: 5_000 });
  try {
    const names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const there = tables.filter(table => names.some(row => row['name'] === table));
    const held = there.filter(
      table => database.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() !== undefined,
    );
    return held.length === 0 ? null : `rows in ${held.join(', ')}`;
  } finally {
    database.close();
  }
}
