import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ownedSinceMs } from '../adapters/log/owner-lock.ts';
import { migrationNames } from '../adapters/tables/migrate.ts';
import { readMigrations } from '../adapters/tables/migration-state.ts';
import { migrateTables } from '../adapters/tables/sqlite-tables.ts';
import { cacheDirectory, type Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import type { StatusDocument } from '../core/documents.ts';
import { MillraceError } from '../core/errors.ts';
import { expectThat } from '../operations/engine/expect.ts';
import type { Component, ServedState, Site, SitePaths } from '../operations/engine/site.ts';
import { composeHost, locateServers } from './compose-servers.ts';
import { buildConsole, canBuildConsole, isConsoleBuilt } from './console-build.ts';
import { drawSecret, environmentPaths, FORMAT_STAMP } from './data-directory.ts';
import { declaredTopics } from './declared-topics.ts';
import { askDocument, findServer, readServing } from './http-client.ts';
import { readRelease } from './release-files.ts';
import type { RunningTrial } from './trial.ts';

/** A site with what must be closed after it. */
export interface OpenSite extends Site {
  /** Stops the trial instance, if one was started. */
  close(): Promise<void>;
}

/** The environment on this machine, as operations see it. Opens nothing and changes nothing by itself. */
export function composeSite(settings: Settings, config: Config, print: (line: string) => void): OpenSite {
  const { environment } = settings;
  const paths = sitePaths(settings);
  const host = composeHost(paths.root);
  const context = { config, environment, paths, host };
  let trial: Promise<RunningTrial> | undefined;
  // Looked for each time: ports and secrets are drawn by a run.
  const reach = async () => {
    const { openReach } = await import('./compose-reach.ts');
    return openReach(await locateServers({ config, environment, dataDirectory: paths.data }), environment);
  };
  const isSqlite = config['tables.adapter'] === 'sqlite';
  return {
    paths,
    host,
    topics: () => declaredTopics(config, environment),
    check: async server => (await reach()).check(server),
    planTopics: async isNew => (await reach()).planTopics(isNew),
    applyTopics: async (kind, topic) => (await reach()).applyTopics(kind, topic),
    knownMigrations: migrationNames,
    async migrations() {
      if (isSqlite) return readMigrations(paths.tablesFile);
      return { applied: await (await reach()).appliedMigrations(), known: migrationNames() };
    },
    createDatabase: () => migrateTables(paths.tablesFile, Date.now(), null),
    async applyMigrations(upTo) {
      if (isSqlite) await migrateTables(paths.tablesFile, Date.now(), upTo);
      else await (await reach()).applyMigrations(upTo);
    },
    async declareTopics(topics) {
      const { withLog } = await import('./compose-probes.ts');
      await withLog(context, topics, async () => undefined);
    },
    buildConsole: async () => void (await buildConsole(print)),
    isConsoleBuilt,
    canBuildConsole,
    rehash: readRelease,
    formatStamp: FORMAT_STAMP,
    drawSecret,
    async probe(component) {
      const served = SERVED_AS[component] === undefined ? null : await servedState(settings);
      if (served !== null) return servedComponent(served, component);
      const { probeComponent } = await import('./compose-probes.ts');
      return probeComponent(component, context);
    },
    async holds(component) {
      const { holdingsOf } = await import('./compose-probes.ts');
      return holdingsOf(component, context);
    },
    runningSinceMs: () => ownedSinceMs(paths.operations, 'run'),
    served: () => servedState(settings),
    trial() {
      trial ??= import('./trial.ts').then(({ startTrial }) =>
        startTrial(config, environment, join(paths.operations, 'trial')),
      );
      return trial;
    },
    configDigestOf: sections => sectionsDigest(config, sections),
    async close() {
      // One that did not come up has said so to whoever asked for it.
      await (await trial?.catch(() => undefined))?.close();
    },
  };
}

/** Absolute paths of an environment. */
export function sitePaths({ dataDirectory, environment }: Settings): SitePaths {
  const own = environmentPaths(dataDirectory, environment);
  return {
    data: dataDirectory,
    root: own.root,
    log: own.log,
    state: own.state,
    archive: own.archive,
    tablesFile: own.tablesFile,
    cacheFile: own.cacheFile,
    tokenFile: own.tokenFile,
    releases: join(dataDirectory, 'releases'),
    cache: cacheDirectory(),
    operations: join(own.root, 'operations'),
  };
}

/** Components that only one process may open: the serving one answers for them, under this name. */
const SERVED_AS: Partial<Record<Component, string>> = { log: 'log' };

function servedComponent(served: ServedState, component: Component) {
  const found = served.components.find(({ name }) => name === SERVED_AS[component]);
  expectThat(
    found !== undefined && found.state === 'ok',
    `the serving process says of ${component}: ${found?.state ?? 'nothing'}, ${found?.detail ?? ''}`,
  );
  return { servedBy: served.url, detail: found.detail };
}

async function servedState(settings: Settings): Promise<ServedState | null> {
  const serving = readServing(settings);
  if (serving === undefined) return null;
  const server = findServer({ ...settings, url: undefined });
  try {
    const [status, version] = await Promise.all([
      askDocument<StatusDocument>(server, { path: '/v1/status' }),
      askDocument<{ release?: string; releaseDigest?: string }>(server, { path: '/version' }),
    ]);
    if (status.environment !== settings.environment) return null;
    const { components, workers, schemas } = status;
    const { release: releaseId = '', releaseDigest = '' } = version;
    return { url: server.url, components, workers, schemas, releaseDigest, releaseId };
  } catch (error) {
    const isGone =
      error instanceof MillraceError && ['ERR_NOT_SERVING', 'ERR_UNAUTHORIZED'].includes(error.code);
    // What a kill left behind names a server that is gone, or by now another one.
    if (isGone) return null;
    throw error;
  }
}

/** Keys that say where one process listens or how it is tested, not how the environment works. */
const NOT_THE_ENVIRONMENT = ['http.port'];

function sectionsDigest(config: Config, sections: readonly string[]): string {
  const rows = Object.entries(config)
    .filter(([key]) => sections.includes(key.split('.')[0] ?? '') || sections.includes(key))
    .filter(([key]) => !NOT_THE_ENVIRONMENT.includes(key))
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}
