import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { currentUser, takeOwnership } from '../adapters/log/owner-lock.ts';
import { openReceiptFile } from '../adapters/receipts/receipt-file.ts';
import type { Settings } from '../config/environment.ts';
import { configDigest } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { type ErrorDocument, MillraceError } from '../core/errors.ts';
import type { PlanDocument, RunEvent, RunSummary } from '../core/operation-documents.ts';
import type { ReceiptLog } from '../core/receipts.ts';
import { isSupported } from '../operations/engine/inspect.ts';
import type { Scope } from '../operations/engine/operation.ts';
import { makePlan, type Plan, planDocument, type Request, refuseStale } from '../operations/engine/plan.ts';
import { type RunDeps, runPlan } from '../operations/engine/run.ts';
import { OPERATIONS } from '../operations/list.ts';
import { composeSite, type OpenSite, sitePaths } from './compose-site.ts';
import { FORMAT_STAMP } from './data-directory.ts';
import { readRelease } from './release-files.ts';
import { openRunLog } from './run-log.ts';
import { tellWebhook } from './tell-webhook.ts';

/** What operations are looked at, planned and run with. */
export interface OperationsSettings {
  readonly settings: Settings;
  readonly config: Config;
  /** Stream jobs that are to be deployed; empty: all. */
  readonly jobs?: readonly string[];
  /** Whether undo takes data with it that it would leave otherwise. */
  readonly removesData?: boolean;
  /** Name for the receipts, beside the OS user's. */
  readonly as?: string | undefined;
  /** Cancels a run at the next boundary of a step. */
  readonly signal?: AbortSignal;
  /** Told of every event of a run. */
  readonly emit?: (event: RunEvent) => void;
}

/** The operations of an environment, ready to be asked. Opened, it has changed nothing yet. */
export interface OpenOperations {
  readonly scope: Scope;
  readonly receipts: ReceiptLog;
  plan(request: Request): Promise<Plan>;
  document(plan: Plan): PlanDocument;
  /** With `saved`: refuses with ERR_PLAN_STALE where that is not what would be done now. */
  run(request: Request, saved?: PlanDocument): Promise<RunSummary & { readonly error: ErrorDocument | null }>;
  /** Does work that needs the lock of operations; throws ERR_OWNED, naming who runs them now. */
  locked<T>(work: (deps: RunDeps) => Promise<T>): Promise<T>;
}

/** A request for every operation that this release can do under a configuration. */
export function everything(config: Config): Request {
  const operations = OPERATIONS.filter(operation => isSupported(operation, OPERATIONS, config));
  return { paths: [], operations, only: false };
}

/** Looks at the release and makes everything that operations act through. */
export async function openOperations(options: OperationsSettings): Promise<OpenOperations> {
  const { settings, config, removesData = false } = options;
  const log = openRunLog(join(sitePaths(settings).operations, 'runs'));
  const emit = (event: RunEvent) => {
    log.add(event);
    options.emit?.(event);
  };
  const site = composeSite(settings, config, () => undefined);
  const release = await readRelease();
  const { environment } = settings;
  const scope: Scope = { environment, config, release, site, jobs: options.jobs ?? [], removesData };
  const receipts = tellingOf(openReceiptFile(join(site.paths.operations, 'receipts.jsonl')), options, emit);
  const deps: RunDeps = {
    operations: OPERATIONS,
    scope,
    receipts,
    configDigest: configDigest(config),
    who: options.as === undefined ? currentUser() : `${currentUser()} as ${options.as}`,
    hostName: hostname(),
    signal: options.signal ?? new AbortController().signal,
    nowMs: Date.now,
    newId: randomUUID,
    emit,
  };
  const plan = (request: Request) => makePlan(request, OPERATIONS, scope);
  const document = (made: Plan) => planDocument(made, scope, deps.configDigest);
  const locked = <T>(work: (with_: RunDeps) => Promise<T>) => withLock(site, settings, () => work(deps));
  return {
    scope,
    receipts,
    plan,
    document,
    locked,
    run: (request, saved) =>
      locked(async () => {
        const made = await plan(request);
        if (saved !== undefined) refuseStale(saved, document(made));
        return runPlan(made, deps);
      }),
  };
}

/** The receipts, and the webhook told of each record of a run. That it could not be told is said and nothing else. */
function tellingOf(
  receipts: ReceiptLog,
  { config, settings }: OperationsSettings,
  emit: (event: RunEvent) => void,
): ReceiptLog {
  return {
    read: () => receipts.read(),
    async append(entry) {
      await receipts.append(entry);
      if (entry.kind !== 'run') return;
      const why = await tellWebhook(entry, config, settings.env);
      if (why === undefined) return;
      const message = `the webhook was not told: ${why}`;
      emit({ timeMs: Date.now(), operation: 'operations.webhook', phase: 'progress', step: null, message });
    },
  };
}

/**
 * One run at a time: the kernel lets go of the lock when the process dies. What a killed run left half made of its
 * own, such as the data of a trial instance, goes first, and logs of servers are cut.
 */
async function withLock<T>(site: OpenSite, settings: Settings, work: () => Promise<T>): Promise<T> {
  const { operations } = sitePaths(settings);
  await refuseForeignData(settings.dataDirectory);
  await mkdir(settings.dataDirectory, { recursive: true, mode: 0o711 });
  await mkdir(join(operations, 'unfinished'), { recursive: true, mode: 0o700 });
  const owner = await takeOwnership(operations, 'run');
  try {
    await site.host.trimLogs();
    for (const name of await site.host.list(operations)) {
      if (/^(trial$|scratch-)/.test(name)) await site.host.remove(join(operations, name));
    }
    return await work();
  } finally {
    await site.close();
    owner.release();
  }
}

/** Nothing is put into a data directory that another version, or another product, marked as its own. */
async function refuseForeignData(dataDirectory: string): Promise<void> {
  const file = join(dataDirectory, 'format.json');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return FORMAT_STAMP;
    throw error;
  });
  if (text !== FORMAT_STAMP) throw new MillraceError('ERR_DATA_FORMAT', `${file} says ${text.trim()}`);
}
