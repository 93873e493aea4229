import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/config/environment.ts';
import type {
  PlanDocument,
  ReceiptsDocument,
  RunEvent,
  RunSummary,
} from '../../src/core/operation-documents.ts';

const BIN = join(PACKAGE_ROOT, 'bin/millrace');

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A data directory of its own and commands on it. */
export class CommandLine {
  readonly data = join(mkdtempSync(join(tmpdir(), 'millrace-operations-')), 'data');

  /** Starts a command; `env` is added to this process's variables. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, prefix: readonly string[] = []): ChildProcess {
    const { MILLRACE_ENV: _, MILLRACE_URL: __, MILLRACE_TOKEN: ___, ...own } = process.env;
    const [program = BIN, ...words] = [...prefix, BIN, ...args];
    // What is to be seen of a server's first half minute has a test of its own.
    const common = { MILLRACE_DATA: this.data, MILLRACE_OPERATIONS_WATCH_MS: '0' };
    return spawn(program, words, { env: { ...own, ...common, ...env }, stdio: 'pipe' });
  }

  /** Runs a command to its end. */
  async run(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    prefix: readonly string[] = [],
  ): Promise<Ended> {
    return endOf(this.start(args, env, prefix));
  }

  /** Runs a command with --json and reads its one document; checks the exit code. */
  async json<T>(args: readonly string[], status = 0): Promise<T> {
    const ended = await this.run([...args, '--json']);
    assert.equal(ended.status, status, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`);
    return JSON.parse(ended.stdout) as T;
  }

  /** `run --json`: its events and its last line. */
  async operate(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<{
    ended: Ended;
    events: readonly RunEvent[];
    summary: RunSummary & { error?: { code: string; why: string } };
  }> {
    const ended = await this.run(['run', ...args, '--json'], env);
    const lines = ended.stdout.split('\n').filter(line => line !== '');
    const documents = lines.map(line => JSON.parse(line));
    return { ended, events: documents.slice(0, -1), summary: documents.at(-1) };
  }

  async plan(...args: readonly string[]): Promise<PlanDocument> {
    return this.json(['plan', ...args]);
  }

  async receipts(): Promise<ReceiptsDocument> {
    return this.json(['receipts']);
  }

  remove(): void {
    rmSync(join(this.data, '..'), { recursive: true, force: true });
  }
}

/** Waits for a command's end and all it said. */
export async function endOf(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout!.setEncoding('utf8').on('data', text => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', text => (stderr += text));
  await once(child, 'close');
  return { status: child.exitCode, signal: child.signalCode, stdout, stderr };
}

/**
 * Every file below a folder with its rights and the digest of its bytes; a folder with its rights. What is left out
 * by its path is not looked at either: it may go away meanwhile.
 */
export function fingerprint(folder: string, leftOut = /^$/): Readonly<Record<string, string>> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map(entry => ({ entry, path: join(entry.parentPath, entry.name) }));
  const rows = paths
    .filter(({ path }) => !leftOut.test(path))
    .map(({ entry, path }) => {
      const mode = statSync(path).mode.toString(8);
      const digest = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
      return [path.slice(folder.length + 1), `${mode} ${digest}`];
    });
  return Object.fromEntries(rows);
}

/** Every operation by the folders that name them. */
export const ALL = ['Build', 'OpsAdministration', 'Provision', 'Deploy'];
