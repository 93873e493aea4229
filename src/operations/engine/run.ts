import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/event.ts';
import type { Change, Step, StepContext } from '../../core/operation.ts';
import type {
  ReceiptDocument,
  ReceiptOutcome,
  RunEvent,
  RunSummary,
  RunVerb,
} from '../../core/operation-documents.ts';
import type { ReceiptLog } from '../../core/receipts.ts';
import { systemError } from '../../core/store-error.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { indexOperations } from './graph.ts';
import { changeOf, type Inspection, inspect, mapBounded, markFile, type UnfinishedMark } from './inspect.ts';
import { lastLinesOf } from './last-lines.ts';
import { type Operation, operationPath, type Scope } from './operation.ts';
import { otherRelease } from './other-release.ts';
import type { Plan } from './plan.ts';
import { watchProcesses } from './watch.ts';

/** What a run is made with. */
export interface RunDeps {
  /** The whole list. */
  readonly operations: readonly Operation[];
  readonly scope: Scope;
  readonly receipts: ReceiptLog;
  readonly configDigest: string;
  /** OS user or token name, and the machine. */
  readonly who: string;
  readonly hostName: string;
  /** Cancels at the next boundary of a step. */
  readonly signal: AbortSignal;
  nowMs(): number;
  newId(): string;
  emit(event: RunEvent): void;
}

/** One run underway. */
export interface RunState {
  readonly deps: RunDeps;
  readonly id: string;
  readonly verb: RunVerb;
  readonly written: ReceiptDocument[];
  /** Operations that this run has seen working, by path. */
  readonly ready: Set<string>;
}

/** Operations of a level that are worked on at once: they wait for disks and servers more than they compute. */
const AT_ONCE_MAX = 4;
/** Ten times what the slowest server needed alone, and never less than a minute. */
const READY_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 200;
const SHOWN_LINES_MAX = 4;

/**
 * Works a plan through, level by level; needs the lock of operations. A failure lets what has started finish,
 * starts nothing more, and is told in the summary. Every run leaves one record.
 */
export async function runPlan(
  plan: Plan,
  deps: RunDeps,
): Promise<RunSummary & { error: ErrorDocument | null }> {
  const state: RunState = { deps, id: deps.newId(), verb: 'run', written: [], ready: new Set() };
  return recordRun(state, plan.request.paths, async () => {
    const changed: Inspection[] = [];
    for (const level of plan.levels) {
      const done = await mapBounded(level, AT_ONCE_MAX, inspection => runOne(inspection, state));
      changed.push(...done.filter(inspection => inspection !== undefined));
    }
    await watchChanged(changed, state);
  });
}

/** One that answers at first and dies of its load or its memory half a minute later was not brought up. */
async function watchChanged(changed: readonly Inspection[], state: RunState): Promise<void> {
  const { deps } = state;
  const watchMs = deps.scope.config['operations.watchMs'];
  const watched = changed.filter(({ look }) => look.processes.length > 0);
  if (watchMs === 0 || watched.length === 0) return;
  for (const { path } of watched) eventsOf(path, deps)('verify', `watching ${path} for ${watchMs} ms`);
  const { host } = deps.scope.site;
  const ended = await watchProcesses(watched, { host, watchMs, signal: deps.signal });
  refuseCancelled(deps.signal);
  if (ended === undefined) return;
  await attempt(state, { ...ended.inspection, changes: [] }, () => Promise.reject(ended.error));
}

/** Runs the work and leaves the record of the run, whatever came of it. */
export async function recordRun(
  state: RunState,
  paths: readonly string[],
  work: () => Promise<void>,
): Promise<RunSummary & { error: ErrorDocument | null }> {
  const { deps } = state;
  const startedAtMs = deps.nowMs();
  let error: ErrorDocument | null = null;
  try {
    await work();
  } catch (thrown) {
    error = documentOf(thrown);
  }
  const changes = state.written.reduce((sum, receipt) => sum + receipt.changes.length, 0);
  failpoint('operations.beforeRecord');
  await deps.receipts.append({
    kind: 'run',
    id: state.id,
    environment: deps.scope.environment,
    startedAtMs,
    durationMs: deps.nowMs() - startedAtMs,
    verb: state.verb,
    paths,
    ok: error === null,
    changes,
    receipts: state.written.map(receipt => receipt.id),
    configDigest: deps.configDigest,
    releaseDigest: deps.scope.release.digest,
    who: deps.who,
    host: deps.hostName,
    error,
  });
  failpoint('operations.afterRecord');
  return { receipts: state.written, changes, ok: error === null, error };
}

/** Resolves with what it looked like before, where it was changed. */
async function runOne({ operation, path }: Inspection, state: RunState): Promise<Inspection | undefined> {
  const { deps } = state;
  refuseCancelled(deps.signal);
  await untilNeedsReady(operation, state);
  // Looked at again: what it needs may have changed it meanwhile, and another run may have been cut off in it.
  const inspection = await inspect(operation, deps.scope);
  const emit = eventsOf(path, deps);
  const other = inspection.unit.isServed ? otherRelease(await deps.scope.site.served(), deps.scope) : null;
  const until =
    other === null
      ? ''
      : `; ${other.servedBy} runs release ${other.release} until it is restarted: ${other.remedy}`;
  if (inspection.changes.length === 0) {
    emit('done', `unchanged ${path}${until}`, { outcome: 'unchanged' });
    state.ready.add(path);
    return undefined;
  }
  for (const change of inspection.changes) emit('plan', changeText(change), { step: change.step });
  await attempt(state, inspection, async made => {
    await applySteps(inspection.look.steps, state, { emit, made });
    failpoint('operations.beforeVerify');
    emit('verify', `verifying ${path}`);
    const observed = await inspection.unit.verify(deps.scope);
    await refuseLeft(operation, deps.scope);
    failpoint('operations.afterVerify');
    return other === null ? observed : { ...observed, stillServed: { ...other } };
  });
  state.ready.add(path);
  const outcome = inspection.missing.length > 0 ? 'partial' : 'applied';
  emit('done', `${outcome} ${path}${until}`, { outcome });
  return inspection;
}

/**
 * Marks the operation unfinished, does the work, writes the receipt, then takes the mark away. `work` tells what it
 * has made as it goes on: that alone is what the receipt of a failure holds.
 */
export async function attempt(
  state: RunState,
  inspection: Inspection,
  work: (made: Change[]) => Promise<JsonObject>,
): Promise<void> {
  const { deps } = state;
  const { scope } = deps;
  const { operation, path, missing } = inspection;
  const startedAtMs = deps.nowMs();
  const made: Change[] = [];
  const mark: UnfinishedMark = { startedAtMs, run: state.id, error: null };
  const putMark = (content: UnfinishedMark) =>
    scope.site.host.put(markFile(operation, scope), `${JSON.stringify(content)}\n`, { mode: 0o600 });
  const writeReceipt = (
    outcome: ReceiptOutcome,
    parts: Pick<ReceiptDocument, 'observed' | 'changes' | 'error'>,
  ) => append(state, { operation: path, startedAtMs, outcome, missing, ...parts });
  await putMark(mark);
  failpoint('operations.afterMark');
  try {
    const observed = await work(made);
    const { changes } = inspection;
    await writeReceipt(missing.length > 0 ? 'partial' : 'applied', { observed, changes, error: null });
    failpoint('operations.afterReceipt');
    await scope.site.host.remove(markFile(operation, scope));
    failpoint('operations.afterUnmark');
  } catch (thrown) {
    const error = documentOf(thrown);
    await putMark({ ...mark, error });
    await writeReceipt('failed', { observed: inspection.look.report, changes: made, error });
    eventsOf(path, deps)('done', `failed ${path}: ${error.message}: ${error.why}`, { outcome: 'failed' });
    throw thrown;
  }
}

/** Applies steps in their order and tells which were made; a cancelled run ends before the next one. */
export async function applySteps(
  steps: readonly Step[],
  { deps }: RunState,
  { emit, made }: { readonly emit: Emit; readonly made: Change[] },
): Promise<void> {
  for (const step of steps) {
    refuseCancelled(deps.signal);
    emit('apply', step.what, { step: step.step });
    const context: StepContext = {
      host: deps.scope.site.host,
      progress: line => emit('progress', line, { step: step.step }),
      signal: deps.signal,
    };
    failpoint('operations.beforeStep');
    await step.apply(context);
    made.push(changeOf(step));
    failpoint('operations.afterStep');
  }
}

/**
 * Waits until everything that the operation needs is in place: each is looked at again until a deadline, and the
 * error says which one is not, with the last lines of its process.
 */
async function untilNeedsReady(operation: Operation, state: RunState): Promise<void> {
  const { scope } = state.deps;
  const byId = indexOperations(state.deps.operations);
  for (const need of operation.needs) {
    const needed = byId.get(need)!;
    const path = operationPath(needed, scope.environment);
    if (state.ready.has(path)) continue;
    const deadlineMs = performance.now() + READY_MS_MAX;
    let seen = await inspect(needed, scope);
    while (seen.changes.length > 0) {
      refuseCancelled(state.deps.signal);
      if (performance.now() > deadlineMs) throw await notReady(seen, scope);
      await delay(LOOK_AGAIN_MS);
      seen = await inspect(needed, scope);
    }
    state.ready.add(path);
  }
}

async function notReady({ path, look, changes }: Inspection, scope: Scope): Promise<MillraceError> {
  const said = await lastLinesOf(look.processes, scope.site.host);
  const left = changes.map(change => change.what).join(', ');
  return new MillraceError(
    'ERR_NOT_READY',
    `${path} is not in place after ${READY_MS_MAX} ms: still to do: ${left}${said}`,
    { remedy: `millrace run ${path}` },
  );
}

/** What was applied must also look so: a step that believes it is done and is not must not pass. */
export async function refuseLeft(operation: Operation, scope: Scope): Promise<void> {
  const { look, path } = await inspect(operation, scope);
  if (look.steps.length === 0) return;
  const left = look.steps.map(({ step, before, after }) => `${step}: ${before ?? 'absent'}, not ${after}`);
  throw new MillraceError('ERR_VERIFY_FAILED', `${path}: after it was applied: ${left.join('; ')}`);
}

type ReceiptParts = Pick<
  ReceiptDocument,
  'operation' | 'startedAtMs' | 'outcome' | 'observed' | 'changes' | 'missing' | 'error'
>;

async function append({ deps, id, verb, written }: RunState, parts: ReceiptParts): Promise<void> {
  const receipt: ReceiptDocument = {
    id: deps.newId(),
    environment: deps.scope.environment,
    durationMs: deps.nowMs() - parts.startedAtMs,
    configDigest: deps.configDigest,
    releaseDigest: deps.scope.release.digest,
    run: id,
    verb,
    who: deps.who,
    ...parts,
  };
  failpoint('operations.beforeReceipt');
  await deps.receipts.append({ kind: 'receipt', ...receipt });
  written.push(receipt);
}

/** Tells of one operation. */
export type Emit = (
  phase: RunEvent['phase'],
  message: string,
  more?: { readonly step?: string; readonly outcome?: ReceiptOutcome },
) => void;

/** The teller of one operation's events. */
export function eventsOf(operation: string, deps: RunDeps): Emit {
  return (phase, message, { step, outcome } = {}) =>
    deps.emit({
      timeMs: deps.nowMs(),
      operation,
      phase,
      step: step ?? null,
      message,
      ...(outcome === undefined ? {} : { outcome }),
    });
}

/** `create the folder: absent → 0700`. */
export function changeText({ what, before, after }: Change): string {
  return `${what} (${onOneLine(before)} → ${onOneLine(after)})`;
}

/** The lines of a file as part of a line: a few are shown, more are counted. */
function onOneLine(text: string | null): string {
  if (text === null) return 'absent';
  const lines = text.split('\n');
  return lines.length > SHOWN_LINES_MAX ? `${lines.length} lines` : lines.join(', ');
}

function refuseCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new MillraceError('ERR_RUN_CANCELLED', 'it ended before its next step');
}

function documentOf(thrown: unknown): ErrorDocument {
  // A full or read-only disk is told as what it is wherever it is met.
  const error = systemError(thrown);
  if (error instanceof MillraceError) return error.toDocument();
  const why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new MillraceError('ERR_INTERNAL', why, { cause: thrown }).toDocument();
}
