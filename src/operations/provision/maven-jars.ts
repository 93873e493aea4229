import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { fillCached } from './fill-cached.ts';
import type { Part } from './part.ts';

/** The jars of a server, by exact version and content: what a `.lock.json` holds. */
export interface JarLock {
  /** Folder in the cache: `kafka-4.3.1`. */
  readonly name: string;
  readonly jars: readonly LockedJar[];
}

interface LockedJar {
  /** `group:artifact:version`, and `:classifier` where it has one. */
  readonly artifact: string;
  /** Hex. */
  readonly sha256: string;
}

const GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies';
const DOWNLOAD_MS_MAX = 20 * 60_000;

/** Where the jars of a lock lie. */
export function jarFolder(cache: string, { name }: JarLock): string {
  return join(cache, 'jars', name);
}

/**
 * The jars of a server, downloaded by Maven. Each is compared with the lock whenever it is looked at: what lies in
 * a cache is run as a server. What Maven has got already it does not get again.
 */
export function jarsPart(cache: string, lock: JarLock): Part {
  const folder = jarFolder(cache, lock);
  return {
    step: 'software',
    what: `download the ${lock.jars.length} jars of ${lock.name}`,
    async observe(host) {
      const wrong = await wrongJars(host, folder, lock);
      if (wrong.length === 0) return undefined;
      if ((await host.which('mvn')) === undefined) {
        throw new MillraceError('ERR_TOOL_MISSING', `mvn is not on the host, to download ${lock.name}`, {
          remedy: 'Install Maven: apt-get install maven',
        });
      }
      const isAbsent = (await host.stat(folder)) === undefined;
      return { before: isAbsent ? null : wrong.join('\n'), after: `${lock.name}, ${lock.jars.length} jars` };
    },
    apply: context => download(context, folder, lock),
  };
}

/** Aside first, so that what has its name is whole and checked; two at once end with the same. */
async function download(context: StepContext, folder: string, lock: JarLock): Promise<void> {
  const { host, progress, signal } = context;
  const aside = `${folder}.new`;
  await fillCached(context, folder, async () => {
    if ((await wrongJars(host, folder, lock)).length === 0) return;
    await host.remove(aside);
    await host.makeFolder(join(aside, 'jars'), { mode: 0o755 });
    await host.put(join(aside, 'pom.xml'), pomText(lock), { mode: 0o644 });
    progress(`downloading ${lock.jars.length} jars of ${lock.name}`);
    const argv = ['mvn', '-B', '-q', '-ntp', GOAL, `-DoutputDirectory=${join(aside, 'jars')}`];
    const { exitCode, stdout, stderr } = await host.exec(argv, {
      cwd: aside,
      timeoutMs: DOWNLOAD_MS_MAX,
      signal,
    });
    if (exitCode !== 0) {
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(0, 5).join('\n    ');
      throw new MillraceError('ERR_HOST_COMMAND', `mvn ended with ${exitCode}: ${said}`);
    }
    const [wrong] = await wrongJars(host, join(aside, 'jars'), lock);
    if (wrong !== undefined) throw new MillraceError('ERR_DOWNLOAD_CHANGED', wrong);
    await host.remove(folder);
    await host.rename(join(aside, 'jars'), folder);
    await host.remove(aside);
  });
}

/** What a folder has too much, too little or other than the lock says, a text each. */
async function wrongJars(host: Host, folder: string, lock: JarLock): Promise<readonly string[]> {
  const found = await host.list(folder);
  const wanted = new Map(lock.jars.map(jar => [fileOf(jar.artifact), jar.sha256]));
  const wrong: string[] = [];
  for (const file of found) if (!wanted.has(file)) wrong.push(`${join(folder, file)} is not of ${lock.name}`);
  for (const [file, sha256] of wanted) {
    const path = join(folder, file);
    if (!found.includes(file)) wrong.push(`${path} is missing`);
    else if ((await host.digest(path)) !== sha256) wrong.push(`${path} is not the file of sha-256 ${sha256}`);
  }
  return wrong;
}

function fileOf(artifact: string): string {
  const [, name, version, classifier] = artifact.split(':');
  return `${[name, version, classifier].filter(Boolean).join('-')}.jar`;
}

/** Names every jar itself and lets none bring others: Maven then has nothing to decide. */
function pomText({ name, jars }: JarLock): string {
  const everything =
    '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>';
  const dependencies = jars.map(({ artifact }) => {
    const [group, id, version, classifier] = artifact.split(':');
    const suffix = classifier === undefined ? '' : `<classifier>${classifier}</classifier>`;
    const coordinates = `<groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version>`;
    return `    <dependency>${coordinates}${suffix}${everything}</dependency>`;
  });
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    '  <modelVersion>4.0.0</modelVersion>',
    `  <groupId>millrace</groupId><artifactId>${name}</artifactId><version>1</version><packaging>pom</packaging>`,
    '  <dependencies>',
    ...dependencies,
    '  </dependencies>',
    '</project>',
    '',
  ].join('\n');
}
