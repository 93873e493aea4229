import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../config/environment.ts';

const SOURCES = join(PACKAGE_ROOT, 'src/services/console');
const BUILT = join(PACKAGE_ROOT, 'dist/console');
const BUILD_SCRIPT = join(import.meta.dirname, 'vite-build.ts');
const BUILD_MS_MAX = 120_000;
/** How the names begin of folders that are being built into. */
const BUILDING = '.building-';

/**
 * Builds the console where it was not yet built from these sources; a folder named by their digest tells. In a
 * process of its own, so that the bundler's memory does not stay with the service.
 * @returns the folder to serve, undefined where there is none and it cannot be built: the rest works without
 */
export async function buildConsole(print: (line: string) => void): Promise<string | undefined> {
  const target = join(BUILT, sourcesDigest());
  if (existsSync(join(target, 'index.html'))) return target;
  if (!canBuildConsole()) {
    print('console is not built, and vite is not installed: npm ci installs it');
    return undefined;
  }
  print('console building, once for each change of its sources');
  const why = await buildInto(target).catch((error: Error) => error.message);
  if (why === null) return target;
  print(`console could not be built: ${why}`);
  return undefined;
}

/** Whether there is a build of the sources as they are. */
export function isConsoleBuilt(): boolean {
  return existsSync(join(BUILT, sourcesDigest(), 'index.html'));
}

/** Whether what builds it is installed. */
export function canBuildConsole(): boolean {
  return existsSync(join(PACKAGE_ROOT, 'node_modules/vite'));
}

/** Null where it was built, else why not; a folder that cannot be written to rejects. */
async function buildInto(target: string): Promise<string | null> {
  await mkdir(BUILT, { recursive: true });
  const scratch = await mkdtemp(join(BUILT, BUILDING));
  try {
    const why = await runBuild(scratch);
    if (why === null) await putInPlace(scratch, target);
    return why;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Names what the build is made from: the sources, and the versions of what is bundled with them. */
function sourcesDigest(): string {
  const hash = createHash('sha256');
  const { devDependencies } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    devDependencies?: Readonly<Record<string, string>>;
  };
  hash.update(JSON.stringify(devDependencies ?? {}));
  hash.update(readFileSync(BUILD_SCRIPT));
  const names = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
  for (const name of names) hash.update(`${name.slice(SOURCES.length)}\0`).update(readFileSync(name));
  return hash.digest('hex').slice(0, 16);
}

/** Null where it was built, else what the builder said last. */
async function runBuild(directory: string): Promise<string | null> {
  const child = spawn(process.execPath, [...process.execArgv, BUILD_SCRIPT, directory], {
    cwd: PACKAGE_ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: BUILD_MS_MAX,
  });
  let said = '';
  child.stderr.on('data', chunk => {
    said = (said + String(chunk)).slice(-2000);
  });
  await once(child, 'close');
  return child.exitCode === 0 ? null : said.trim() || `the builder ended with ${child.exitCode}`;
}

/** Another process may have built the same meanwhile. Older builds go, and what a killed one left behind. */
async function putInPlace(scratch: string, target: string): Promise<void> {
  await rename(scratch, target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  for (const name of await readdir(BUILT)) {
    const path = join(BUILT, name);
    const isBeingMade = name.startsWith(BUILDING) && (await ageMs(path)) < BUILD_MS_MAX;
    if (path !== target && !isBeingMade) await rm(path, { recursive: true, force: true });
  }
}

/** Since it was last changed; for ever where it has gone meanwhile. */
async function ageMs(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? Number.POSITIVE_INFINITY : Date.now() - found.mtimeMs;
}
