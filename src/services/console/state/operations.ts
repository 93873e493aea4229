import { signal } from '@preact/signals';
import type {
  OperationsDocument,
  ReceiptOutcome,
  RunEvent,
  RunStateDocument,
  RunSummary,
  RunVerb,
} from '../../query/contract.ts';
import { type Refusal, read, readLines } from './api.ts';

/** A run as this page follows it. */
export interface FollowedRun {
  readonly verb: RunVerb;
  readonly paths: readonly string[];
  readonly startedAtMs: number;
  readonly isRunning: boolean;
  readonly events: readonly RunEvent[];
  /** Its last line; absent while it goes on, and where it was cut off. */
  readonly summary?: RunSummary & { readonly error?: Refusal };
  /** Why it did not begin, or why its end is not known. */
  readonly refusal?: Refusal;
}

/** How an operation stands within a run: still in it, or how it ended there. */
export type RunMark = 'running' | ReceiptOutcome;

/** Every operation as it was last seen, in the documentation's order; undefined until the first look. */
export const operations = signal<OperationsDocument['operations'] | undefined>(undefined);
/** The environment's name where a run wants it typed; else undefined. */
export const nameToType = signal<string | undefined>(undefined);
/** Why the last look was refused; what was seen before it stays. */
export const lookRefusal = signal<Refusal | undefined>(undefined);
/** When it was last read, epoch ms. */
export const lookedAtMs = signal(0);
/** Counts the looks: what depends on the state of operations is read anew with it. */
export const looks = signal(0);
/** The run that goes on, or the last one; null where this page knows of none. */
export const run = signal<FollowedRun | null>(null);

/** Looks at every operation anew, unless a run goes on: what it works on is neither here nor there. */
export async function lookAgain(): Promise<void> {
  if (run.value?.isRunning === true) return;
  const answer = await read<OperationsDocument>('/v1/operations');
  lookRefusal.value = 'refusal' in answer ? answer.refusal : undefined;
  if ('refusal' in answer) return;
  operations.value = answer.value.operations;
  nameToType.value = answer.value.protected ? answer.value.environment : undefined;
  lookedAtMs.value = Date.now();
  looks.value += 1;
}

/** Runs operations with what they need; one run at a time. `confirm` is the environment's name as it was typed. */
export async function startRun(paths: readonly string[], confirm: string | undefined): Promise<void> {
  await start({ verb: 'run', paths }, { paths, confirm });
}

/** Takes one operation back; otherwise as {@link startRun}. */
export async function startUndo(path: string, confirm: string | undefined): Promise<void> {
  await start({ verb: 'undo', paths: [path] }, { path, confirm });
}

async function start(asked: Asked, body: object): Promise<void> {
  if (run.value?.isRunning === true) return;
  await follow({ ...asked, startedAtMs: Date.now() }, onLine =>
    readLines(`/v1/${asked.verb}`, onLine, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
}

/**
 * Follows the run that goes on, started by another page or before this one was opened anew. One that has ended in
 * between is read to its end, where this page knows of no other.
 */
export async function joinRun(): Promise<void> {
  if (run.value?.isRunning === true) return;
  const answer = await read<RunStateDocument>('/v1/run');
  if ('refusal' in answer) return;
  const { running, verb, paths, startedAtMs } = answer.value;
  if (startedAtMs === null || !(running || run.value === null)) return;
  await follow({ verb, paths, startedAtMs }, onLine => readLines('/v1/run/log', onLine));
}

/** The mark of each operation that a run has told of, by path. */
export function marksOf({ events, isRunning }: FollowedRun): ReadonlyMap<string, RunMark> {
  const marks = new Map<string, RunMark>();
  for (const { operation, outcome } of events) {
    if (outcome !== undefined) marks.set(operation, outcome);
    else if (isRunning) marks.set(operation, 'running');
  }
  return marks;
}

type Line = RunEvent | (RunSummary & { readonly error?: Refusal });

type Asked = Pick<FollowedRun, 'verb' | 'paths'>;

async function follow(
  begun: Asked & Pick<FollowedRun, 'startedAtMs'>,
  readAll: (onLine: (line: Line) => void) => Promise<Refusal | undefined>,
): Promise<void> {
  run.value = { ...begun, isRunning: true, events: [] };
  const refusal = await readAll(line => {
    const now = run.value!;
    run.value = 'receipts' in line ? { ...now, summary: line } : { ...now, events: [...now.events, line] };
  });
  const ended = run.value!;
  const lost = ended.summary === undefined ? (refusal ?? CUT_OFF) : refusal;
  run.value = { ...ended, isRunning: false, ...(lost === undefined ? {} : { refusal: lost }) };
  await lookAgain();
}

const CUT_OFF: Refusal = {
  code: 'CUT_OFF',
  message: 'the run was cut off',
  why: 'its last line did not come',
  remedy: 'Run it again: it goes on where it was.',
};
