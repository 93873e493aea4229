import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { QueryDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { QueryRunner } from '../../core/ports.ts';
import { READABLE_RELATIONS } from '../../core/relations.ts';
import { ANSWER_BYTES_MAX } from './query-answer.ts';
import { type QueryLimits, QueryTurns } from './query-turns.ts';

/** What the process that runs a query is told, as JSON on its standard input. */
export interface QueryRequest {
  readonly file: string;
  readonly sql: string;
  /** The tables and views that may be read. */
  readonly relations: readonly string[];
  readonly rowsMax: number;
  /** Most characters of the rows as JSON; the row that would pass it is left out, and those after it. */
  readonly answerBytesMax: number;
  /** What the process may hold beyond what it held at its start. */
  readonly memoryBytesMax: number;
}

/** What the process answers, as JSON on its standard output, where it does not answer a {@link QueryDocument}. */
export interface QueryFailure {
  readonly code: 'ERR_QUERY_INVALID' | 'ERR_QUERY_FORBIDDEN' | 'ERR_QUERY_MEMORY' | 'ERR_STORE_UNAVAILABLE';
  readonly why: string;
}

/** Where the tables lie and what a query may take. */
export interface QueryOptions {
  readonly file: string;
  readonly config: QueryLimits;
}

const CHILD = path.join(import.meta.dirname, 'query-child.ts');
// UTF-8 takes up to three bytes for a character, and the columns come on top.
const OUTPUT_BYTES_MAX = 4 * ANSWER_BYTES_MAX;
const STDERR_BYTES_MAX = 4096;
const MIB = 1024 * 1024;
const HEAP_MIB_MIN = 32;

/**
 * Makes a runner over the tables' file, each query in a process of its own: `query.concurrentMax` at most, up to
 * 32 waiting. It throws ERR_QUERY_INVALID, ERR_QUERY_FORBIDDEN, ERR_QUERY_MEMORY, ERR_QUERY_TIMEOUT (the deadline
 * counts from the call, waiting for a turn included) and ERR_STORE_UNAVAILABLE; closing kills what runs and
 * refuses what waits.
 */
export function createQueryRunner(options: QueryOptions): QueryRunner {
  const turns = new QueryTurns(options.config['query.concurrentMax']);
  const running = new Set<ChildProcess>();
  return {
    async run(sql) {
      const timeoutMs = options.config['query.timeoutMs'];
      const signal = AbortSignal.timeout(timeoutMs);
      await turns.take(signal);
      try {
        return await runInProcess(options, { sql, signal, running });
      } finally {
        turns.give();
      }
    },
    async close() {
      turns.close();
      for (const child of running) child.kill('SIGKILL');
    },
  };
}

interface Run {
  readonly sql: string;
  readonly signal: AbortSignal;
  readonly running: Set<ChildProcess>;
}

async function runInProcess(options: QueryOptions, { sql, signal, running }: Run): Promise<QueryDocument> {
  const { config } = options;
  const heapMiB = Math.max(HEAP_MIB_MIN, Math.ceil(config['query.memoryBytesMax'] / MIB));
  const flags = ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${heapMiB}`];
  const child = spawn(process.execPath, [...flags, CHILD], { stdio: 'pipe', env: {} });
  running.add(child);
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    const request: QueryRequest = {
      file: options.file,
      sql,
      relations: READABLE_RELATIONS,
      rowsMax: config['query.rowsMax'],
      answerBytesMax: ANSWER_BYTES_MAX,
      memoryBytesMax: config['query.memoryBytesMax'],
    };
    const outcome = await converse(child, JSON.stringify(request));
    if (signal.aborted) throw new MillraceError('ERR_QUERY_TIMEOUT', timeoutWhy(options));
    return documentOf(outcome, options);
  } finally {
    signal.removeEventListener('abort', kill);
    running.delete(child);
  }
}

interface Outcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly stderr: string;
}

/** Hands the request over and gathers the answer; resolves when the process has ended. */
function converse(child: ChildProcess, request: string): Promise<Outcome> {
  const output = new BoundedText(OUTPUT_BYTES_MAX, () => child.kill('SIGKILL'));
  const stderr = new BoundedText(STDERR_BYTES_MAX, () => {});
  child.stdout?.on('data', chunk => output.add(chunk));
  child.stderr?.on('data', chunk => stderr.add(chunk));
  // A process that died before it read its request says so by how it ended.
  child.stdin?.on('error', () => {});
  child.stdin?.end(request);
  return new Promise((resolve, reject) => {
    child.on('error', cause =>
      reject(new MillraceError('ERR_STORE_UNAVAILABLE', 'the query process did not start', { cause })),
    );
    child.on('close', (exitCode, signal) =>
      resolve({ exitCode, signal, output: output.toString(), stderr: stderr.toString() }),
    );
  });
}

function documentOf({ exitCode, signal, output, stderr }: Outcome, options: QueryOptions): QueryDocument {
  if (signal !== null) {
    // Its own watch, V8 or the kernel ended it: all for memory.
    const why = `it needs more than ${options.config['query.memoryBytesMax']} bytes`;
    throw new MillraceError('ERR_QUERY_MEMORY', why);
  }
  if (exitCode !== 0) {
    const why = `the query process ended with code ${exitCode}: ${stderr.slice(0, 500)}`;
    throw new MillraceError('ERR_STORE_UNAVAILABLE', why);
  }
  const answer: QueryDocument | QueryFailure = JSON.parse(output);
  if ('code' in answer) throw new MillraceError(answer.code, answer.why);
  return answer;
}

function timeoutWhy(options: QueryOptions): string {
  return `it was not done ${options.config['query.timeoutMs']} ms after it was asked`;
}

/** Text gathered from chunks up to a limit; past it the rest is dropped and the caller told. */
class BoundedText {
  readonly #chunks: Buffer[] = [];
  readonly #bytesMax: number;
  readonly #onFull: () => void;
  #sizeBytes = 0;

  constructor(bytesMax: number, onFull: () => void) {
    this.#bytesMax = bytesMax;
    this.#onFull = onFull;
  }

  add(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= this.#bytesMax) this.#chunks.push(chunk);
    else this.#onFull();
  }

  toString(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
