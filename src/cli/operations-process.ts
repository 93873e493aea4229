import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Settings } from '../config/environment.ts';
import { MillraceError } from '../core/errors.ts';
import { isObject, textOf } from '../core/event.ts';
import type { RunVerb } from '../core/operation-documents.ts';
import { operationPath } from '../operations/engine/operation.ts';
import { resolvePath } from '../operations/engine/paths.ts';
import { OPERATIONS } from '../operations/list.ts';
import { createGate } from '../services/ingest/gate.ts';
import type { OperationsApi } from '../services/query/operations-api.ts';
import { isErrorCode } from './error-code.ts';
import { keepRunLines, type RunLines } from './run-lines.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** Commands at once: each is a process of 60 MB. */
const ASKED_MAX = 2;
/** Questions that wait for their turn: a page asks three, and some pages may be open. */
const WAITING_MAX = 24;
const ANSWER_MS_MAX = 120_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** A run that does not end at a step's boundary by then is cut off; the next one goes on there. */
const CANCEL_MS_MAX = 5000;
const NAME = 'operator';

/** The run that was started last. */
interface StartedRun {
  readonly child: ChildProcess;
  readonly verb: RunVerb;
  readonly paths: readonly string[];
  readonly startedAtMs: number;
  readonly lines: RunLines;
}

/**
 * Operations for the serving process, each in a child that runs the command line: one lock and one way to do it,
 * and none of its memory stays here.
 */
export function startOperationsApi(settings: Settings): OperationsApi {
  const ask = createAsker(settings);
  let last: StartedRun | undefined;
  const isRunning = (): boolean =>
    last !== undefined && last.child.exitCode === null && last.child.signalCode === null;
  const begin = async (verb: RunVerb, paths: readonly string[], flags: readonly string[]) => {
    const named = canonical(paths, settings);
    const child = start(settings, [verb, '--as', NAME, ...flags], named);
    const lines = await linesOf(child);
    last = { child, verb, paths: named, startedAtMs: Date.now(), lines };
    return lines.read();
  };
  return {
    list: () => ask(['operations', 'list']),
    describe: path => ask(['operations', 'describe'], canonical([path], settings)),
    plan: paths => ask(['plan'], canonical(paths, settings)),
    receipts: (paths, limit) =>
      ask(
        ['receipts', ...(limit === undefined ? [] : ['--limit', String(limit)])],
        canonical(paths, settings),
      ),
    doctor: () => ask(['doctor']),
    run: ({ paths, jobs, only, confirm }) => {
      const flags = [...(only ? ['--only'] : []), ...jobs.flatMap(job => ['--job', job])];
      return begin('run', paths, [...flags, ...confirmed(confirm)]);
    },
    undo: ({ path, confirm }) => begin('undo', [path], confirmed(confirm)),
    state: () => ({
      running: isRunning(),
      verb: last?.verb ?? 'run',
      paths: last?.paths ?? [],
      startedAtMs: last?.startedAtMs ?? null,
    }),
    log() {
      if (last !== undefined) return last.lines.read();
      throw new MillraceError('ERR_NOT_FOUND', 'no run was started here since this process began');
    },
    cancel: () => isRunning() && last!.child.kill('SIGTERM'),
    async close() {
      if (last === undefined || !isRunning()) return;
      const { child } = last;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), CANCEL_MS_MAX);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** In one word with its value, which may begin with a dash. */
function confirmed(name: string | undefined): readonly string[] {
  return name === undefined ? [] : [`--confirm=${name}`];
}

function start(settings: Settings, words: readonly string[], paths: readonly string[]): ChildProcess {
  const flags = ['--json', '--env', settings.environment, '--data', settings.dataDirectory];
  for (const set of settings.sets) flags.push('--set', set);
  // After `--` nothing is a flag; what goes there is a path of the list.
  const args = [...process.execArgv, MAIN, ...words, ...flags, '--', ...paths];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'], env: settings.env });
}

/** Asks a command for its document; a few at a time, the others wait their turn. */
function createAsker(settings: Settings) {
  const gate = createGate(ASKED_MAX);
  let asked = 0;
  return async (words: readonly string[], paths: readonly string[] = []): Promise<object> => {
    if (asked >= ASKED_MAX + WAITING_MAX) {
      throw new MillraceError('ERR_OVERLOADED', `${asked} questions about operations wait already`);
    }
    asked += 1;
    try {
      return await gate.run(() => answerOf(start(settings, words, paths)));
    } finally {
      asked -= 1;
    }
  };
}

/** Paths of this environment as the list has them; throws for what is none. */
function canonical(paths: readonly string[], { environment }: Settings): readonly string[] {
  const scope = { operations: OPERATIONS, environments: [environment], environment };
  return paths.flatMap(text => {
    const { operations, environment: other } = resolvePath(text, scope);
    if (other !== undefined && other !== environment) {
      throw new MillraceError(
        'ERR_REQUEST_INVALID',
        `${text} is of ${other}, and ${environment} is served here`,
      );
    }
    return operations.map(operation => operationPath(operation, environment));
  });
}

async function answerOf(child: ChildProcess): Promise<object> {
  const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS_MAX);
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout!.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) child.kill('SIGKILL');
    else chunks.push(chunk);
  });
  await once(child, 'close');
  clearTimeout(timer);
  const document = parsed(Buffer.concat(chunks).toString('utf8'));
  if (document === undefined) throw new Error(`the command ended with ${child.exitCode ?? child.signalCode}`);
  throwError(document);
  return document;
}

/** The child's lines, kept from the first on; where that is an error, nothing began and it is thrown. */
async function linesOf(child: ChildProcess): Promise<RunLines> {
  const lines = keepRunLines();
  const first = Promise.withResolvers<string | undefined>();
  const reader = createInterface({ input: child.stdout! });
  reader.on('line', line => {
    first.resolve(line);
    lines.add(line);
  });
  reader.on('close', () => {
    first.resolve(undefined);
    lines.end();
  });
  const line = await first.promise;
  if (line === undefined) throw new Error(`the run ended with ${child.exitCode ?? child.signalCode}`);
  const document = parsed(line);
  if (document !== undefined && !('receipts' in document)) throwError(document);
  return lines;
}

function parsed(text: string): object | undefined {
  try {
    const document: unknown = JSON.parse(text);
    return isObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

function throwError(document: object): void {
  const error = isObject(document) ? document['error'] : undefined;
  if (!isObject(error)) return;
  const code = textOf(error['code']) ?? 'ERR_INTERNAL';
  const remedy = textOf(error['remedy']);
  const known = isErrorCode(code) ? code : 'ERR_INTERNAL';
  throw new MillraceError(known, textOf(error['why']) ?? '', remedy === undefined ? {} : { remedy });
}
