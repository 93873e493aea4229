import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StatusDocument, TopicsDocument } from '../../src/core/documents.ts';

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const BIN = join(ROOT, 'bin/millrace');
/** Servers may come with it, and the client of Kafka may be built first. */
const START_MS_MAX = 600_000;
const IDLE_MS_MAX = 60_000;

/** What a command printed and how it ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A data directory with the real command line on it: what the end-to-end tests drive. */
export class Millrace {
  readonly data: string;
  readonly environment: string;
  readonly #flags: readonly string[];
  #server: ChildProcess | undefined;
  #stderr = '';

  private constructor(data: string, environment: string, flags: readonly string[]) {
    this.data = data;
    this.environment = environment;
    this.#flags = flags;
  }

  /** An empty data directory; `sets` are passed to `up` as `--set`. */
  static async create(sets: readonly string[] = [], environment = 'local'): Promise<Millrace> {
    const data = await mkdtemp(join(tmpdir(), 'millrace-e2e-'));
    return new Millrace(
      data,
      environment,
      sets.flatMap(set => ['--set', set]),
    );
  }

  /** Runs `millrace up`, on a free port where none is named; resolves when it serves. */
  async up(sets: readonly string[] = [], port = '0'): Promise<void> {
    const server = this.start(sets, port);
    const deadlineMs = Date.now() + START_MS_MAX;
    while (!(await this.#isServing(server.pid!))) {
      if (server.exitCode !== null || server.signalCode !== null || Date.now() > deadlineMs) {
        throw new Error(
          `millrace up did not serve (exit ${server.exitCode}, ${server.signalCode}):\n${this.#stderr}`,
        );
      }
      await sleep(25);
    }
  }

  /** Runs `millrace up` and leaves it to itself: it may well end before it serves. */
  start(sets: readonly string[] = [], port = '0'): ChildProcess {
    const flags = [...this.#place(), ...this.#flags, ...sets.flatMap(set => ['--set', set])];
    const server = spawn(BIN, ['up', '--port', port, ...flags], {
      // What each start would try anew is tried by test/operations.
      env: { ...process.env, MILLRACE_OPERATIONS_TRIAL: 'off' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#server = server;
    this.#stderr = '';
    server.stderr!.on('data', chunk => {
      this.#stderr += String(chunk);
    });
    return server;
  }

  /** What the serving process wrote to standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#server!.pid!;
  }

  /** The running server; for waiting on its end. */
  get server(): ChildProcess {
    return this.#server!;
  }

  async url(): Promise<string> {
    return (
      JSON.parse(await readFile(join(this.data, this.environment, 'serving.json'), 'utf8')) as { url: string }
    ).url;
  }

  async token(): Promise<string> {
    return (await readFile(join(this.data, this.environment, 'token'), 'utf8')).trim();
  }

  /** A request to the API with the token. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${await this.token()}`);
    return fetch(`${await this.url()}${path}`, { ...init, headers });
  }

  /** Runs one command to its end. */
  async run(args: readonly string[], input?: string): Promise<Finished> {
    const child = spawn(BIN, [...args, ...this.#place()], { stdio: 'pipe' });
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', chunk => {
      stdout += String(chunk);
    });
    child.stderr.on('data', chunk => {
      stderr += String(chunk);
    });
    await once(child, 'close');
    return { code: child.exitCode, stdout, stderr };
  }

  /** Runs a command with `--json` and reads the document it prints. */
  async json<T>(args: readonly string[]): Promise<T> {
    const finished = await this.run([...args, '--json']);
    try {
      return JSON.parse(finished.stdout) as T;
    } catch {
      throw new Error(
        `millrace ${args.join(' ')} (exit ${finished.code}): ${finished.stdout}${finished.stderr}`,
      );
    }
  }

  /** Waits until no accepted record is unprocessed and every sink has read to the end. */
  async idle(): Promise<StatusDocument> {
    const deadlineMs = Date.now() + IDLE_MS_MAX;
    // Ends with idleness or at the deadline.
    while (true) {
      const status = (await (await this.fetch('/v1/status')).json()) as StatusDocument;
      if (status.idle) return status;
      if (Date.now() > deadlineMs) throw new Error(`not idle: ${JSON.stringify(status)}\n${this.#stderr}`);
      await sleep(20);
    }
  }

  /** Records ever committed by topic, without prefix. */
  async counts(): Promise<Record<string, number>> {
    const { topics } = (await (await this.fetch('/v1/topics')).json()) as TopicsDocument;
    const prefix = `${this.environment}.`;
    return Object.fromEntries(topics.map(({ topic, records }) => [topic.replace(prefix, ''), records]));
  }

  /** SIGTERM; resolves with the exit code once the process is gone. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends what runs and removes the data. Servers that the environment started end with a stop alone. */
  async remove(): Promise<void> {
    await (this.environment === 'local' ? this.kill() : this.stop());
    await rm(this.data, { recursive: true, force: true });
  }

  #place(): readonly string[] {
    return ['--data', this.data, '--env', this.environment];
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const server = this.#server;
    if (server === undefined) return null;
    if (server.exitCode === null && server.signalCode === null) {
      server.kill(signal);
      await once(server, 'exit');
    }
    return server.exitCode;
  }

  async #isServing(pid: number): Promise<boolean> {
    try {
      const serving = JSON.parse(
        await readFile(join(this.data, this.environment, 'serving.json'), 'utf8'),
      ) as {
        pid: number;
        url: string;
      };
      return serving.pid === pid && (await fetch(`${serving.url}/health`)).status === 200;
    } catch {
      return false;
    }
  }
}
