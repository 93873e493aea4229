import type { Settings } from '../config/environment.ts';
import { listEnvironments, loadConfig } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { didYouMean } from '../config/suggest.ts';
import { MillraceError } from '../core/errors.ts';
import { JOB_NAMES } from '../core/job.ts';
import { type Operation, operationId, operationPath } from '../operations/engine/operation.ts';
import { resolvePath } from '../operations/engine/paths.ts';
import { OPERATIONS } from '../operations/list.ts';
import type { Call } from './call.ts';

/** Operations as a command line names them, with the environment that follows from it. */
export interface OperationCall {
  readonly settings: Settings;
  readonly config: Config;
  readonly operations: readonly Operation[];
  /** Canonical paths of what was typed; empty where nothing was. */
  readonly paths: readonly string[];
  readonly jobs: readonly string[];
}

/**
 * Resolves the paths of a call; none names every operation. An environment in a path is explicit: it must agree
 * with `--env` and with the other paths. Throws ERR_USAGE, ERR_OPERATION_UNKNOWN, ERR_OPERATION_AMBIGUOUS.
 */
export function operationCall(call: Call, typed: readonly string[]): OperationCall {
  refuseUnsupported(call);
  const { environment: fallback, environmentsDirectory } = call.settings;
  const scope = {
    operations: OPERATIONS,
    environments: listEnvironments(environmentsDirectory),
    environment: fallback,
  };
  const resolved = typed.map(text => resolvePath(text, scope));
  const named = new Set(resolved.flatMap(({ environment }) => environment ?? []));
  const flag = call.text('env');
  if (flag !== undefined) named.add(flag);
  if (named.size > 1) {
    throw new MillraceError('ERR_USAGE', `the paths and --env name ${[...named].join(' and ')}`, {
      remedy: 'Name one environment, in the path or by --env.',
    });
  }
  const [environment = fallback] = named;
  const settings = { ...call.settings, environment };
  const chosen = new Set(resolved.flatMap(({ operations }) => operations));
  const operations = OPERATIONS.filter(operation => typed.length === 0 || chosen.has(operation));
  const jobs = jobNames(call.texts('job'));
  if (jobs.length > 0) refuseWithoutJobs(operations);
  return {
    settings,
    config: loadConfig(settings).config,
    operations,
    paths: typed.length === 0 ? [] : operations.map(operation => operationPath(operation, environment)),
    jobs,
  };
}

/** Flags of the original's parameters that this version does nothing by are refused, never passed over. */
function refuseUnsupported(call: Call): void {
  const refuse = (flag: string, why: string): never => {
    throw new MillraceError('ERR_OPERATION_TARGET', `${flag}: ${why}`);
  };
  if (call.text('releaseTag') !== undefined)
    refuse('--release-tag', 'this release seals the files that run; it builds no other ref');
  if (call.text('release') !== undefined)
    refuse('--release', 'the release that runs is the one that is deployed');
  if (call.text('schemas') !== undefined) refuse('--schemas', 'schemas are part of the release that runs');
  for (const flag of ['role', 'host']) {
    if (call.text(flag) !== undefined) refuse(`--${flag}`, 'this release acts on this machine alone');
  }
}

/** `--job` narrows what Deploy/Yarn does: where that is not asked for, it would be passed over. */
function refuseWithoutJobs(operations: readonly Operation[]): void {
  if (operations.some(operation => operationId(operation) === 'Deploy/Yarn')) return;
  throw new MillraceError('ERR_USAGE', '--job is of Deploy/Yarn, which is not among what was named', {
    remedy: 'Write, for example: millrace run Deploy/Yarn --job dedup',
  });
}

function jobNames(typed: readonly string[]): readonly string[] {
  for (const job of typed) {
    if ((JOB_NAMES as readonly string[]).includes(job)) continue;
    throw new MillraceError('ERR_JOB_UNKNOWN', `there is no job ${job}${didYouMean(job, JOB_NAMES)}`);
  }
  return typed;
}
