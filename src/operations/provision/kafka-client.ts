import { dirname, join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { fillCached } from './fill-cached.ts';
import lock from './kafka-client-1.10.1.lock.json' with { type: 'json' };
import type { Part } from './part.ts';
import type { Server, ServerContext } from './server.ts';

const PACKAGE = '@confluentinc/kafka-javascript';
const VERSION = '1.10.1';
const BUILD_MS_MAX = 30 * 60_000;
const LOAD_MS_MAX = 60_000;
/** Header files that the build needs, by the Debian package that holds them. */
const HEADERS: Readonly<Record<string, string>> = {
  'libssl-dev': '/usr/include/openssl/ssl.h',
  'libsasl2-dev': '/usr/include/sasl/sasl.h',
  'libzstd-dev': '/usr/include/zstd.h',
  'zlib1g-dev': '/usr/include/zlib.h',
  'g++': '/usr/bin/g++',
  make: '/usr/bin/make',
};
/** Its header lies in a folder named for the machine. */
const CURL = 'libcurl4-openssl-dev';
const SHOW_EVERY_MS = 10_000;
const DONE = 'complete.json';

/**
 * The native client of Kafka, built once for the Node that runs and kept in the cache: it takes a compiler and
 * minutes, which an installation without Kafka never needs. The lock names every package with its digest.
 */
export async function kafkaClient({ host, place, config }: ServerContext): Promise<Server> {
  const configured = config['kafka.clientFolder'];
  if (configured !== '') return configuredClient(configured);
  const { arch } = await host.facts();
  const folder = join(place.cache, 'kafka-client', `${VERSION}-node${process.versions.modules}-${arch}`);
  const client = join(folder, 'node_modules', PACKAGE);
  const build: Part = {
    step: 'client',
    what: `build ${PACKAGE} ${VERSION} (once, some minutes)`,
    async observe(observed) {
      if ((await observed.stat(join(folder, DONE))) !== undefined) return undefined;
      if ((await observed.which('npm')) === undefined) throw missing('npm is not on the host', 'npm');
      return { before: null, after: `${VERSION} for Node ${process.versions.node.split('.')[0]}, ${arch}` };
    },
    apply: context => buildClient(context, folder),
  };
  return {
    name: 'kafka-client',
    parts: [build],
    processes: [],
    folder: null,
    data: [],
    secrets: [],
    async verify(from) {
      await load(from, client, `Remove ${folder} and run the command again: it is built anew.`);
      return `${PACKAGE} ${VERSION}`;
    },
    bindings: { 'kafka.clientFolder': client },
  };
}

/** A client that the operator has built: looked for, never touched. */
function configuredClient(folder: string): Server {
  const remedy =
    `Install ${PACKAGE} ${VERSION} and set kafka.clientFolder to its folder, ` +
    'or leave that empty: it is built once then.';
  const part: Part = {
    step: 'client',
    what: `find ${PACKAGE} in ${folder}`,
    async observe(host) {
      if ((await host.stat(join(folder, 'package.json'))) !== undefined) return undefined;
      throw new MillraceError('ERR_CLIENT_MISSING', `kafka.clientFolder ${folder} holds no package`, {
        remedy,
      });
    },
    async apply() {},
  };
  return {
    name: 'kafka-client',
    parts: [part],
    processes: [],
    folder: null,
    data: [],
    secrets: [],
    async verify(host) {
      await load(host, folder, remedy);
      return `${PACKAGE} in ${folder}`;
    },
    bindings: {},
  };
}

/** In a process of its own, as workers load it: it may bring one down. */
async function load(host: Host, folder: string, remedy: string): Promise<void> {
  const argv = [process.execPath, '-e', `require(${JSON.stringify(folder)})`];
  const { exitCode, stderr } = await host.exec(argv, { timeoutMs: LOAD_MS_MAX });
  if (exitCode === 0) return;
  throw new MillraceError('ERR_CLIENT_MISSING', `${folder} does not load: ${lastLines(stderr, 3)}`, {
    remedy,
  });
}

/** Aside first, so that what has its name is whole; two at once end with the same. */
async function buildClient(context: StepContext, folder: string): Promise<void> {
  const { host, progress, signal } = context;
  const aside = `${folder}.new`;
  await fillCached(context, folder, async () => {
    if ((await host.stat(join(folder, DONE))) !== undefined) return;
    await needHeaders(context);
    await host.remove(aside);
    await host.makeFolder(aside, { mode: 0o755 });
    const dependencies = { [PACKAGE]: VERSION };
    const manifest = { name: lock.name, private: true, dependencies };
    await host.put(join(aside, 'package.json'), JSON.stringify(manifest), { mode: 0o644 });
    const packages = { ...lock.packages, '': { name: lock.name, dependencies } };
    await host.put(join(aside, 'package-lock.json'), JSON.stringify({ ...lock, packages }), { mode: 0o644 });
    progress(`building ${PACKAGE} ${VERSION}`);
    const node = dirname(process.execPath);
    const { PATH = '' } = (await pathOf(context)) ?? {};
    const { exitCode, stdout, stderr } = await host.exec(
      ['npm', 'ci', '--no-audit', '--no-fund', '--foreground-scripts'],
      {
        cwd: aside,
        // Built for the Node that will load it, and on the libraries of the system.
        env: { PATH: `${node}:${PATH}`, CKJS_LINKING: 'dynamic', npm_config_nodedir: dirname(node) },
        timeoutMs: BUILD_MS_MAX,
        signal,
        onLine: throttled(progress),
      },
    );
    if (exitCode !== 0) {
      const why = `npm ended with ${exitCode}: ${lastLines(`${stdout}\n${stderr}`, 5)}`;
      throw missing(why, [...Object.keys(HEADERS), CURL].join(' '));
    }
    await host.put(join(aside, DONE), `${JSON.stringify({ version: VERSION })}\n`, { mode: 0o644 });
    await host.remove(folder);
    await host.rename(aside, folder);
  });
}

/** Installs what the build needs where this login may; else says how. */
async function needHeaders({ host, progress, signal }: StepContext): Promise<void> {
  const absent: string[] = [];
  for (const [name, file] of Object.entries(HEADERS)) {
    if ((await host.stat(file)) === undefined) absent.push(name);
  }
  const curl = (await host.list('/usr/include')).filter(
    name => name === 'curl' || name.endsWith('-linux-gnu'),
  );
  const holders = await Promise.all(curl.map(name => host.list(join('/usr/include', name))));
  if (!holders.flat().some(name => name === 'curl' || name === 'curl.h')) absent.push(CURL);
  if (absent.length === 0) return;
  if (!(await host.facts()).isRoot || (await host.which('apt-get')) === undefined) {
    throw missing('its build needs packages that are not on the host', absent.join(' '));
  }
  progress(`installing ${absent.join(' ')}`);
  const install = ['apt-get', '-q', 'install', '-y', '--no-install-recommends', ...absent];
  const options = { timeoutMs: BUILD_MS_MAX, signal, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  if ((await host.exec(install, options)).exitCode === 0) return;
  await host.exec(['apt-get', '-q', 'update'], options);
  const { exitCode, stderr } = await host.exec(install, options);
  if (exitCode !== 0)
    throw missing(`apt-get ended with ${exitCode}: ${lastLines(stderr, 3)}`, absent.join(' '));
}

/** The search path that commands of the host have. */
async function pathOf({ host }: StepContext): Promise<{ readonly PATH: string }> {
  const { stdout } = await host.exec(['printenv', 'PATH'], { timeoutMs: LOAD_MS_MAX });
  return { PATH: stdout.trim() };
}

function missing(why: string, packages: string): MillraceError {
  return new MillraceError('ERR_CLIENT_MISSING', why, {
    remedy: `Run: apt-get install ${packages}; then the command again.`,
  });
}

function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join('\n    ');
}

/** A build says thousands of lines: one in ten seconds shows that it goes on. */
function throttled(progress: (line: string) => void): () => void {
  const startMs = performance.now();
  let nextMs = startMs + SHOW_EVERY_MS;
  return () => {
    if (performance.now() < nextMs) return;
    nextMs += SHOW_EVERY_MS;
    progress(`still building after ${Math.round((performance.now() - startMs) / 1000)} s`);
  };
}
