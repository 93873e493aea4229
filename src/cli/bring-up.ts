import type { Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import type { ComponentDocument } from '../core/documents.ts';
import { type ErrorDocument, MillraceError } from '../core/errors.ts';
import type { RunEvent } from '../core/operation-documents.ts';
import { armFailpoint } from '../observability/failpoint.ts';
import type { Release } from '../operations/engine/release.ts';
import { MARKS_REMEDY, strangeMarks } from './check-stores.ts';
import { everything, openOperations } from './compose-operations.ts';
import { refuseServed } from './compose-owner.ts';
import { runningServers, stopEnvironmentServers } from './compose-servers.ts';
import { isErrorCode } from './error-code.ts';
import { formatCounted } from './format.ts';
import { keepServers } from './keep-servers.ts';
import { refuseTakenPort, refuseUnready } from './preflight.ts';
import { runEventText } from './run-event-text.ts';

/** What is brought up. */
export interface BringUpSettings {
  readonly settings: Settings;
  /** With the port that will be listened on. */
  readonly config: Config;
  readonly print: (line: string) => void;
  /** Cancels at the next boundary of a step. */
  readonly signal: AbortSignal;
}

/** An environment of which every operation is in place. */
export interface BroughtUp {
  readonly release: Release;
  /** The servers on this machine that crashed since, each started again. */
  servers(): readonly ComponentDocument[];
  /** Stops the servers that were started for it, in reverse order, within 15 s. */
  stop(): Promise<void>;
}

/**
 * Runs every operation of the environment before it is served. Where nothing is to be done it costs one look at
 * everything and no lock. Throws what kept an operation from being applied and verified; servers that were started
 * are stopped again then, those that ran before go on.
 */
export async function bringUp(options: BringUpSettings): Promise<BroughtUp> {
  const { settings, config } = options;
  refuseServed(settings);
  await refuseTakenPort(settings, config);
  await refuseUnready(settings, config);
  await warnOfStrangeMarks(options);
  const place = { config, environment: settings.environment, dataDirectory: settings.dataDirectory };
  const before = await runningServers(place);
  const started = new Set<string>();
  const stopStarted = async () => void (await stopEnvironmentServers(place, name => started.has(name)));
  const noteStarted = async () => {
    const running = await runningServers(place);
    for (const [name, pid] of running) if (before.get(name) !== pid) started.add(name);
    return running;
  };
  try {
    const release = await runAll(options);
    const hasServers = (await noteStarted()).size > 0;
    const emit = (event: RunEvent) => options.print(runEventText(event));
    const keeper = hasServers ? keepServers({ settings, config: provedByServing(config), emit }) : undefined;
    return {
      release,
      servers: () => keeper?.components() ?? [],
      async stop() {
        await keeper?.stop();
        await stopStarted();
      },
    };
  } catch (error) {
    await noteStarted();
    await stopStarted();
    throw error;
  }
}

async function warnOfStrangeMarks({ settings, config, print }: BringUpSettings): Promise<void> {
  const count = await strangeMarks({ settings, config });
  if (count === 0) return;
  print(`warning Redis holds ${formatCounted(count, 'first sighting', 'first sightings')} of another log`);
  print(`        ${MARKS_REMEDY}`);
}

async function runAll({ settings, config, print, signal }: BringUpSettings): Promise<Release> {
  // Only those of operations: others are for the process that serves, and count from when it begins.
  if (/^(operations|receipts)\./.test(config['debug.failpoint'])) armFailpoint(config['debug.failpoint']);
  const emit = (event: RunEvent) => print(runEventText(event));
  const opened = await openOperations({ settings, config: provedByServing(config), signal, emit });
  const request = everything(config);
  const plan = await opened.plan(request);
  if (plan.changes === 0) print(`operations ${request.operations.length} in place`);
  else {
    const { error } = await opened.run(request);
    if (error !== null) throw errorOf(error);
  }
  armFailpoint('');
  return opened.scope.release;
}

/** What it serves next is the proof, and its keeper looks on: a trial and a watch would only put that off. */
function provedByServing(config: Config): Config {
  return { ...config, 'operations.trial': false, 'operations.watchMs': 0 };
}

function errorOf({ code, why, remedy }: ErrorDocument): MillraceError {
  return new MillraceError(isErrorCode(code) ? code : 'ERR_INTERNAL', why, { remedy });
}
