import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import type { Settings } from '../config/environment.ts';
import { ERRORS, type ErrorCode, MillraceError } from '../core/errors.ts';
import { isObject, textOf } from '../core/event.ts';
import { operationPath } from '../operations/engine/operation.ts';
import { resolvePath } from '../operations/engine/paths.ts';
import { OPERATIONS } from '../operations/list.ts';
import type { OperationsApi } from '../services/query/operations-api.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** Commands at once: each is a process of 60 MB. */
const ASKED_MAX = 2;
const ANSWER_MS_MAX = 120_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const NAME = 'operator';

/**
 * Operations for the serving process, each in a child that runs the command line: one lock and one way to do it,
 * and none of its memory stays here.
 */
export function startOperationsApi(settings: Settings): OperationsApi {
  const flags = ['--json', '--env', settings.environment, '--data', settings.dataDirectory];
  for (const set of settings.sets) flags.push('--set', set);
  let asked = 0;
  let running: ChildProcess | undefined;
  const start = (words: readonly string[], paths: readonly string[]) => {
    // After `--` nothing is a flag; what goes there is a path of the list.
    const args = [...process.execArgv, MAIN, ...words, ...flags, '--', ...paths];
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'], env: settings.env });
  };
  const ask = async (words: readonly string[], paths: readonly string[] = []): Promise<object> => {
    if (asked >= ASKED_MAX) throw new MillraceError('ERR_OVERLOADED', `${ASKED_MAX} commands run already`);
    asked += 1;
    try {
      return await answerOf(start(words, paths));
    } finally {
      asked -= 1;
    }
  };
  return {
    list: () => ask(['operations', 'list']),
    describe: path => ask(['operations', 'describe'], canonical([path], settings)),
    plan: paths => ask(['plan'], canonical(paths, settings)),
    receipts: limit => ask(['receipts', ...(limit === undefined ? [] : ['--limit', String(limit)])]),
    doctor: () => ask(['doctor']),
    async run({ paths, jobs, only }) {
      const named = canonical(paths, settings);
      const words = [
        'run',
        '--as',
        NAME,
        ...(only ? ['--only'] : []),
        ...jobs.flatMap(job => ['--job', job]),
      ];
      const child = start(words, named);
      running = child;
      child.once('exit', () => {
        if (running === child) running = undefined;
      });
      return linesOf(child);
    },
    cancel: () => running?.kill('SIGTERM') ?? false,
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

/** The child's lines; where the first is an error, nothing began and it is thrown. */
async function linesOf(child: ChildProcess): Promise<Readable> {
  const lines = new PassThrough();
  child.stdout!.pipe(lines);
  const first = await Promise.race([once(lines, 'readable'), once(lines, 'end')]);
  const chunk: Buffer | null = first === undefined ? null : lines.read();
  if (chunk === null) throw new Error(`the run ended with ${child.exitCode ?? child.signalCode}`);
  const [line = ''] = chunk.toString('utf8').split('\n', 1);
  const document = parsed(line);
  if (document !== undefined && !('receipts' in document)) throwError(document);
  lines.unshift(chunk);
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
  const known: ErrorCode = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'ERR_INTERNAL';
  throw new MillraceError(known, textOf(error['why']) ?? '', remedy === undefined ? {} : { remedy });
}
