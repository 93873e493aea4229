import { access, constants, readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, platform, totalmem } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { runCommand } from './local-exec.ts';
import { localFiles } from './local-files.ts';
import { askPort, isPortFree } from './local-ports.ts';
import { LocalUsers } from './local-users.ts';

/** Who keeps the processes of a host: decides what becomes of them when this process ends. */
export type Supervisor = Pick<Host, 'start' | 'stop' | 'process' | 'trimLogs' | 'lastLines'>;

/** What the host of this machine is made with. */
export interface LocalHostOptions {
  /** Where free space counts: the data directory, which need not be there yet. */
  readonly directory: string;
  /** Variables that commands get; see `hostVariables`. */
  readonly env: Readonly<Record<string, string>>;
  /** Made for the users of the host that is being made. */
  readonly supervise: (users: LocalUsers) => Supervisor;
}

/** This machine, through its own processes and files; everything happens as the user of this process. */
export function createLocalHost({ directory, env, supervise }: LocalHostOptions): Host {
  const users = new LocalUsers();
  const supervisor = supervise(users);
  return {
    name: 'localhost',
    ...localFiles(users),
    async facts() {
      return {
        name: 'localhost',
        platform: platform(),
        arch: arch(),
        cpuCount: availableParallelism(),
        memoryBytes: totalmem(),
        freeBytes: await freeBytesOf(directory),
        user: users.login,
        isRoot: users.isRoot,
        bootId: await bootId(),
      };
    },
    exec: (argv, options) =>
      runCommand({ argv: users.argvAs(options.user, argv), env: { ...env, ...options.env } }, options),
    which: command => findCommand(command, env['PATH'] ?? ''),
    isPortFree,
    ask: askPort,
    start: spec => supervisor.start(spec),
    stop: (name, options) => supervisor.stop(name, options),
    process: name => supervisor.process(name),
    trimLogs: () => supervisor.trimLogs(),
    lastLines: (name, linesMax) => supervisor.lastLines(name, linesMax),
  };
}

/** Names this run of the machine: pids and start times of another one mean nothing. */
export async function bootId(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch (cause) {
    throw new MillraceError('ERR_HOST_COMMAND', 'servers are started on Linux only', { cause });
  }
}

async function findCommand(command: string, path: string): Promise<string | undefined> {
  const folders = path.split(delimiter).filter(isAbsolute);
  for (const file of isAbsolute(command) ? [command] : folders.map(folder => join(folder, command))) {
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder: the next one.
    }
  }
  return undefined;
}

async function freeBytesOf(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch (error) {
    if (dirname(directory) === directory) throw error;
    return freeBytesOf(dirname(directory));
  }
}
