import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { MillraceError } from '../../core/errors.ts';
import type { ExecOptions, ExecResult } from '../../core/host.ts';

const OUTPUT_BYTES_MAX = 1024 * 1024;

/** A command with the variables it gets, all of them. */
export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a command of this machine and resolves with how it ended and what it said. Throws ERR_TOOL_MISSING where
 * it is not there, ERR_HOST_COMMAND where it ran past its time, ERR_RUN_CANCELLED where it was aborted: it is killed
 * then.
 */
export async function runCommand({ argv, env }: Command, options: ExecOptions): Promise<ExecResult> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that what it started is killed with it.
    detached: true,
  });
  const stdout = keepTail(child.stdout, options);
  const stderr = keepTail(child.stderr, options);
  // A command that does not read its input must not bring us down.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const reason = await untilEnd(child, command, options);
  if (reason !== undefined) {
    throw new MillraceError(reason.code, `${command} ${reason.why}${lastWords(stderr(), stdout())}`);
  }
  return { exitCode: exitCodeOf(child), stdout: stdout(), stderr: stderr() };
}

interface KillReason {
  readonly code: 'ERR_HOST_COMMAND' | 'ERR_RUN_CANCELLED';
  readonly why: string;
}

/** Resolves when the command has ended: with why it was killed, undefined where it ended by itself. */
function untilEnd(
  child: ChildProcess,
  command: string,
  options: ExecOptions,
): Promise<KillReason | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<KillReason | undefined>();
  let reason: KillReason | undefined;
  const end = (code: KillReason['code'], why: string) => {
    reason ??= { code, why };
    killGroup(child);
  };
  const late = () => end('ERR_HOST_COMMAND', `ran longer than ${options.timeoutMs} ms`);
  const timer = setTimeout(late, options.timeoutMs);
  const abort = () => end('ERR_RUN_CANCELLED', 'was cancelled');
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted === true) abort();
  child.once('error', cause => {
    const why = 'code' in cause && cause.code === 'ENOENT' ? `${command} is not there` : cause.message;
    reject(new MillraceError('ERR_TOOL_MISSING', why, { cause, remedy: `Install ${command}.` }));
  });
  child.once('close', () => resolve(reason));
  return promise.finally(() => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

function exitCodeOf({ exitCode, signalCode }: ChildProcess): number {
  return exitCode ?? 128 + (signalCode === null ? 0 : constants.signals[signalCode]);
}

/** Collects the end of a stream and passes its lines on; what it returns reads what was kept. */
function keepTail(stream: NodeJS.ReadableStream, options: ExecOptions): () => string {
  const bytesMax = options.outputBytesMax ?? OUTPUT_BYTES_MAX;
  let kept = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]);
    if (kept.length > bytesMax) kept = kept.subarray(kept.length - bytesMax);
  });
  if (options.onLine !== undefined) {
    createInterface({ input: stream }).on('line', line => options.onLine?.(line));
  }
  return () => kept.toString('utf8');
}

function lastWords(...outputs: readonly string[]): string {
  const said = outputs.map(text => text.trim()).find(text => text !== '');
  return said === undefined ? '' : `; it said last: ${said.split('\n').slice(-5).join('\n    ')}`;
}
