import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type FileTail, readFileTail } from '../../config/file-tail.ts';
import { putFile } from '../../config/put-file.ts';
import { trimLog } from '../../config/trim-log.ts';
import { MillraceError } from '../../core/errors.ts';
import type { ProcessSpec, ProcessState } from '../../core/host.ts';
import { bootId, type Supervisor } from './local-host.ts';
import type { LocalUsers } from './local-users.ts';
import { isAlive, readProcessStat } from './process-stat.ts';
import { told } from './told.ts';

/** What a state file says; beside it `<name>.stat` is the process's own line of /proc. */
interface ProcessRecord {
  readonly name: string;
  readonly bootId: string;
  readonly startedAtMs: number;
  readonly digest: string;
  readonly logFile: string;
  readonly ownLogFile?: string;
  readonly stopSignal: ProcessSpec['stopSignal'];
  readonly stopMsMax: number;
}

/** What the supervisor of children is made with. */
export interface ChildSupervisorOptions {
  /** Folder of the state files; created 0700. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly users: LocalUsers;
}

const LOOK_MS = 20;
const START_MS_MAX = 10_000;
const TAIL_BYTES_MAX = 64 * 1024;
/** Of our variables a server gets what it needs to run and nothing that may be a secret. */
const SERVER_VARIABLES = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'JAVA_HOME'];
/**
 * Writes its own line of /proc down, then becomes the server: pid and start time stay. Done by the child, so that
 * no kill of ours can leave a server behind that no file names.
 */
const RECORD_AND_BECOME =
  'read -r line < /proc/self/stat; printf "%s\\n" "$line" > "$0" || exit 1; exec "$@"';

/**
 * Keeps servers as children of this process. Each is in a session of its own, so that Ctrl-C reaches us first and
 * we stop them in order. One that outlives us (kill -9) is found again by pid, start time and boot id, and may be
 * adopted or stopped like any other; the state files of `directory` name it.
 */
export class ChildSupervisor implements Supervisor {
  readonly #options: ChildSupervisorOptions;
  readonly #children = new Map<string, ChildProcess>();

  constructor(options: ChildSupervisorOptions) {
    this.#options = options;
  }

  async start(spec: ProcessSpec): Promise<ProcessState> {
    await this.stop(spec.name);
    const { directory, env, users } = this.#options;
    await told(directory, () => mkdir(directory, { recursive: true, mode: 0o700 }));
    await trimLog(spec.logFile);
    const record: ProcessRecord = {
      name: spec.name,
      bootId: await bootId(),
      startedAtMs: Date.now(),
      digest: spec.digest,
      logFile: spec.logFile,
      ...(spec.ownLogFile === undefined ? {} : { ownLogFile: spec.ownLogFile }),
      stopSignal: spec.stopSignal,
      stopMsMax: spec.stopMsMax,
    };
    const file = this.#file(spec.name, 'json');
    await told(file, () => putFile(file, `${JSON.stringify(record)}\n`));
    const log = await told(spec.logFile, async () => {
      await mkdir(dirname(spec.logFile), { recursive: true, mode: 0o711 });
      return open(spec.logFile, 'a', 0o600);
    });
    try {
      const argv = users.argvAs(spec.user, spec.argv);
      const child = spawn('/bin/sh', ['-c', RECORD_AND_BECOME, this.#file(spec.name, 'stat'), ...argv], {
        cwd: spec.cwd ?? '/',
        env: { ...pickServerVariables(env), ...spec.env },
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
      });
      this.#keep(spec, child);
      await this.#untilRecorded(spec.name, child);
    } finally {
      await log.close();
    }
    return await this.process(spec.name);
  }

  async stop(name: string, options: { readonly msMax: number } = { msMax: Infinity }): Promise<void> {
    const record = await this.#record(name);
    if (record === undefined) return;
    const pid = await this.#pidOf(record);
    const msMax = Math.min(record.stopMsMax, options.msMax);
    if (pid !== undefined && !(await endProcess(pid, record.stopSignal, msMax))) {
      await endProcess(pid, 'SIGKILL', START_MS_MAX);
    }
    this.#children.delete(name);
    for (const suffix of ['stat', 'json'] as const) await rm(this.#file(name, suffix), { force: true });
  }

  async process(name: string): Promise<ProcessState> {
    const record = await this.#record(name);
    if (record === undefined) {
      return { name, state: 'stopped', pid: null, startedAtMs: null, digest: null, detail: '' };
    }
    const known = { name, startedAtMs: record.startedAtMs, digest: record.digest };
    if (record.bootId !== (await bootId())) {
      return { ...known, state: 'stopped', pid: null, detail: 'the machine was restarted' };
    }
    const pid = await this.#pidOf(record);
    if (pid === undefined) return { ...known, state: 'failed', pid: null, detail: this.#endOf(name) };
    const detail = this.#children.has(name) ? '' : 'started by an earlier run';
    return { ...known, state: 'running', pid, detail };
  }

  async trimLogs(): Promise<void> {
    const files = await readdir(this.#options.directory).catch(() => []);
    for (const file of files.filter(name => name.endsWith('.json'))) {
      const record = await this.#record(file.slice(0, -'.json'.length));
      if (record !== undefined) await trimLog(record.logFile);
    }
  }

  async lastLines(name: string, linesMax: number): Promise<readonly string[]> {
    const record = await this.#record(name);
    if (record === undefined) return [];
    const tails = await Promise.all([record.logFile, record.ownLogFile ?? ''].map(readTail));
    // What was written last comes last: of the other one there may be a word of long ago.
    const lines = tails
      .toSorted((left, right) => left.writtenAtMs - right.writtenAtMs)
      .map(({ text }) => text);
    return lines.join('\n').split('\n').filter(Boolean).slice(-linesMax);
  }

  #keep(spec: ProcessSpec, child: ChildProcess): void {
    this.#children.set(spec.name, child);
    // Its exit code tells that it could not be started.
    child.once('error', () => undefined);
    // The server does not keep us running: who wants it stopped says so.
    child.unref();
  }

  /** Resolves when the process has become the server, or has ended. */
  async #untilRecorded(name: string, child: ChildProcess): Promise<void> {
    const deadlineMs = Date.now() + START_MS_MAX;
    while (Date.now() < deadlineMs) {
      const isOver = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
      const recorded = await readProcessStat(this.#file(name, 'stat'));
      if (isOver || recorded?.pid === child.pid) return;
      await delay(LOOK_MS);
    }
    throw new MillraceError('ERR_HOST_COMMAND', `${name} did not start within ${START_MS_MAX} ms`);
  }

  /** The pid of a process of ours that runs; undefined where it has ended, or the pid is now another process's. */
  async #pidOf(record: ProcessRecord): Promise<number | undefined> {
    if (record.bootId !== (await bootId())) return undefined;
    const recorded = await readProcessStat(this.#file(record.name, 'stat'));
    if (recorded === undefined) return undefined;
    const found = await readProcessStat(`/proc/${recorded.pid}/stat`);
    if (found === undefined || found.startTicks !== recorded.startTicks) return undefined;
    return isAlive(found) ? found.pid : undefined;
  }

  #endOf(name: string): string {
    const child = this.#children.get(name);
    if (child?.signalCode) return `it was ended by ${child.signalCode}`;
    if (typeof child?.exitCode === 'number') return `it ended with exit code ${child.exitCode}`;
    return 'it has ended';
  }

  async #record(name: string): Promise<ProcessRecord | undefined> {
    const file = this.#file(name, 'json');
    const text = await readText(file);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as ProcessRecord;
    } catch (cause) {
      throw new MillraceError('ERR_FILE_UNREADABLE', `${file} does not say how ${name} was started`, {
        cause,
        remedy: `Stop ${name} (its pid stands first in ${this.#file(name, 'stat')}), then remove both files.`,
      });
    }
  }

  #file(name: string, suffix: 'json' | 'stat'): string {
    return join(this.#options.directory, `${name}.${suffix}`);
  }
}

/** Signals a process and waits for its end; false where it outlasted the time. */
async function endProcess(pid: number, signal: NodeJS.Signals, msMax: number): Promise<boolean> {
  try {
    process.kill(pid, signal);
  } catch {
    return true;
  }
  const deadlineMs = Date.now() + msMax;
  while (Date.now() < deadlineMs) {
    const found = await readProcessStat(`/proc/${pid}/stat`);
    if (found === undefined || !isAlive(found)) return true;
    await delay(LOOK_MS);
  }
  return false;
}

/** Empty where there is no such log, or it cannot be read: what failed is said without it. */
async function readTail(path: string): Promise<Pick<FileTail, 'text' | 'writtenAtMs'>> {
  return readFileTail(path, TAIL_BYTES_MAX).catch(() => ({ text: '', writtenAtMs: 0 }));
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

function pickServerVariables(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => SERVER_VARIABLES.includes(name)));
}
