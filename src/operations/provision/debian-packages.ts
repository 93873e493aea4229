import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { ExecOptions, Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { fillCached } from './fill-cached.ts';
import type { Part } from './part.ts';

/** Programs that come from Debian: those of the system where it has them, else unpacked into the cache. */
export interface DebianSoftware {
  /** Folder in the cache: `redis`. */
  readonly name: string;
  /** What is unpacked: the packages themselves and the libraries that a plain system lacks. */
  readonly packages: readonly string[];
  /** A program by which its presence is known, below `/`. */
  readonly program: string;
}

/** Programs that were found or will be unpacked. */
export interface LocatedSoftware {
  /** The path of a program by its path below `/`. */
  pathOf(program: string): string;
  /** What programs need in their environment to find their libraries. */
  readonly env: Readonly<Record<string, string>>;
  /** Gets it, where the system has none. */
  readonly parts: readonly Part[];
}

const MINUTES_MS = 60_000;
const TRIPLETS: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** Says where the programs are, or will be. Reads only. */
export async function locateDebian(
  host: Host,
  cache: string,
  software: DebianSoftware,
): Promise<LocatedSoftware> {
  if ((await host.stat(join('/', software.program))) !== undefined) {
    return { pathOf: program => join('/', program), env: {}, parts: [] };
  }
  const { arch } = await host.facts();
  const folder = join(cache, 'debian', `${software.name}-${arch}`);
  const root = join(folder, 'root');
  return {
    pathOf: program => join(root, program),
    env: { LD_LIBRARY_PATH: join(root, 'usr/lib', TRIPLETS[arch] ?? arch) },
    parts: [
      {
        step: 'software',
        what: `download ${software.packages[0]} and unpack it into the cache`,
        async observe(observed) {
          if ((await observed.stat(join(folder, 'packages.json'))) !== undefined) return undefined;
          for (const tool of ['apt-get', 'dpkg-deb']) await needTool(observed, tool, software);
          return { before: null, after: software.packages.join(' ') };
        },
        apply: context => unpack(context, cache, { folder, software }),
      },
    ],
  };
}

async function needTool(host: Host, tool: string, { packages }: DebianSoftware): Promise<void> {
  if ((await host.which(tool)) !== undefined) return;
  throw new MillraceError('ERR_TOOL_MISSING', `neither ${packages[0]} nor ${tool} is on the host`, {
    remedy: `Install ${packages[0]} with the system's package manager, or set its target to external.`,
  });
}

/** Aside first, so that what has its name is whole; two at once end with the same. */
async function unpack(
  context: StepContext,
  cache: string,
  { folder, software }: { readonly folder: string; readonly software: DebianSoftware },
): Promise<void> {
  const { host, progress } = context;
  const aside = `${folder}.new`;
  await fillCached(context, folder, async () => {
    if ((await host.stat(join(folder, 'packages.json'))) !== undefined) return;
    await host.remove(folder);
    await host.remove(aside);
    await host.makeFolder(join(aside, 'root'), { mode: 0o755 });
    await download(context, cache, { aside, packages: software.packages });
    const unpacked: { file: string; sha256: string }[] = [];
    for (const file of (await host.list(aside)).filter(name => name.endsWith('.deb'))) {
      const path = join(aside, file);
      await run(context, ['dpkg-deb', '-x', path, join(aside, 'root')], {});
      // apt has checked it against the signed index; what it was is kept for whoever asks.
      unpacked.push({ file, sha256: await host.digest(path) });
      await host.remove(path);
    }
    await host.put(join(aside, 'packages.json'), `${JSON.stringify(unpacked, null, 2)}\n`, { mode: 0o644 });
    await host.rename(aside, folder);
    progress(`unpacked ${unpacked.length} packages`);
  });
}

/** With the system's lists of packages; where those are missing or old, with lists of our own in the cache. */
async function download(
  context: StepContext,
  cache: string,
  { aside, packages }: { readonly aside: string; readonly packages: readonly string[] },
): Promise<void> {
  context.progress(`downloading ${packages.join(' ')}`);
  const argv = ['apt-get', '-q', '-o', 'APT::Sandbox::User=root'];
  const direct = await tryRun(context, [...argv, 'download', ...packages], { cwd: aside });
  if (direct === 0) return;
  const lists = join(cache, 'debian/lists');
  await context.host.makeFolder(join(lists, 'partial'), { mode: 0o755 });
  const own = [...argv, '-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${join(cache, 'debian')}`];
  context.progress('refreshing the lists of packages, in the cache');
  await run(context, [...own, 'update'], {});
  await run(context, [...own, 'download', ...packages], { cwd: aside });
}

async function tryRun(
  { host, signal }: StepContext,
  argv: readonly string[],
  options: Pick<ExecOptions, 'cwd'>,
): Promise<number> {
  return (await host.exec(argv, { ...options, timeoutMs: 10 * MINUTES_MS, signal })).exitCode;
}

async function run(
  { host, signal }: StepContext,
  argv: readonly string[],
  options: Pick<ExecOptions, 'cwd'>,
): Promise<void> {
  const { exitCode, stderr } = await host.exec(argv, { ...options, timeoutMs: 10 * MINUTES_MS, signal });
  if (exitCode === 0) return;
  const said = stderr.trim().split('\n').slice(-3).join('\n    ');
  throw new MillraceError('ERR_HOST_COMMAND', `${argv.join(' ')} ended with ${exitCode}: ${said}`);
}
