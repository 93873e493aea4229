import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import type { ComponentDocument } from '../core/documents.ts';
import type { RunEvent } from '../core/operation-documents.ts';
import { operationPath } from '../operations/engine/operation.ts';
import { provisionOf } from '../operations/list.ts';
import { openOperations } from './compose-operations.ts';
import { type ServerStanding, standingServers, trimServerLogs } from './compose-servers.ts';
import { errorDocumentOf } from './error-document.ts';

/** Whose servers are kept running. */
export interface KeepSettings {
  readonly settings: Settings;
  readonly config: Config;
  readonly emit: (event: RunEvent) => void;
}

/** Keeps an environment's servers on this machine running. */
export interface ServerKeeper {
  /** One component for each server that has crashed since, as `status` shows it. */
  components(): readonly ComponentDocument[];
  /** Resolves when no server is being started any more. */
  stop(): Promise<void>;
}

const LOOK_MS = 500;
const TRIM_MS = 10_000;
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 30_000;
/** One that ran this long had come up well: the next start is not put off, and the count begins anew. */
const STEADY_MS = 60_000;

/** What is known of a server that has crashed. */
interface Crashed {
  starts: number;
  /** When the last start had ended, by the monotonic clock. */
  lastMs: number;
  isUp: boolean;
  isGivenUp: boolean;
  /** How it ended, or why it did not start; may hold the last lines of its log. */
  why: string;
}

/**
 * Looks each half second whether a server has ended by itself, and starts it again through its operation, with its
 * receipt: at once, then after 0.5 s, doubled up to 30 s, `operations.restartsMax` times. Then it is given up, so that
 * a loop neither fills receipts nor hides: somebody has to look, and who runs its operation has it kept again. One that
 * was stopped on purpose is left so. A run of somebody else goes first: it holds the lock. What servers write is cut
 * under its cap.
 */
export function keepServers(kept: KeepSettings): ServerKeeper {
  const { settings, config } = kept;
  const crashed = new Map<string, Crashed>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const { environment, dataDirectory } = settings;
  const startsMax = config['operations.restartsMax'];
  let trimmedMs = Number.NEGATIVE_INFINITY;
  let blindness: string | undefined;

  async function lookOnce(): Promise<void> {
    const place = { config, environment, dataDirectory };
    if (performance.now() - trimmedMs > TRIM_MS) {
      await trimServerLogs(place);
      trimmedMs = performance.now();
    }
    const standings = await standingServers(place);
    for (const [name, standing] of standings) {
      const known = crashed.get(name);
      if (standing.state === 'running') noteUp(name, known);
      else if (isOurs(standing, known)) await mend(name, standing);
    }
  }

  function noteUp(name: string, known: Crashed | undefined): void {
    if (known === undefined) return;
    known.isUp = true;
    const isSteady = performance.now() - known.lastMs > STEADY_MS;
    if (isSteady || known.isGivenUp) crashed.delete(name);
  }

  async function mend(name: string, { detail }: ServerStanding): Promise<void> {
    const known = crashed.get(name) ?? newlyCrashed(detail);
    crashed.set(name, known);
    if (known.isGivenUp) return;
    // Before the why of its last start is overwritten by less.
    if (known.isUp) known.why = detail;
    known.isUp = false;
    if (known.starts >= startsMax) giveUp(name, known, kept);
    else if (performance.now() - known.lastMs >= waitMsBefore(known.starts)) {
      await startAgain(name, known, { ...kept, signal });
    }
  }

  async function keep(): Promise<void> {
    // Ends when it is stopped.
    while (!signal.aborted) {
      blindness = await lookOnce().then(() => undefined, whyOf);
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  const keeping = keep().catch((error: unknown) => {
    // Cancelled while it started one: what is left to do is found by the next command.
    if (!signal.aborted) throw error;
  });
  return {
    components: () => [
      ...[...crashed].map(([name, known]) => componentOf(name, known)),
      ...(blindness === undefined ? [] : [blindComponent(blindness)]),
    ],
    async stop() {
      stopping.abort();
      await keeping;
    },
  };
}

async function startAgain(
  name: string,
  known: Crashed,
  { settings, config, emit, signal }: KeepSettings & { readonly signal: AbortSignal },
): Promise<void> {
  const operation = provisionOf(name);
  const opened = await openOperations({ settings, config, signal, emit });
  const error = await opened
    .run({ paths: [], operations: operation === undefined ? [] : [operation], only: false })
    .then(summary => summary.error, errorDocumentOf);
  // Somebody else's run, which looks at it as well: no start of ours.
  if (error?.code === 'ERR_OWNED') return;
  known.starts += 1;
  known.lastMs = performance.now();
  known.isUp = error === null;
  if (error !== null) known.why = error.why;
}

function giveUp(name: string, known: Crashed, { settings, emit }: KeepSettings): void {
  const path = pathOf(name, settings.environment);
  known.isGivenUp = true;
  known.why += `\n  try: mend what it says, then: millrace run ${path}`;
  const message = `given up after ${known.starts} starts: ${known.why}`;
  emit({ timeMs: Date.now(), operation: path, phase: 'done', step: null, message, outcome: 'failed' });
}

function newlyCrashed(why: string): Crashed {
  return { starts: 0, lastMs: Number.NEGATIVE_INFINITY, isUp: false, isGivenUp: false, why };
}

/** Whether it is for us to start it: it ended by itself, or a start of ours stopped it and came no further. */
function isOurs({ state }: ServerStanding, known: Crashed | undefined): boolean {
  return state === 'ended' || (known !== undefined && !known.isUp);
}

function waitMsBefore(starts: number): number {
  return starts === 0 ? 0 : Math.min(AGAIN_MS_MIN * 2 ** (starts - 1), AGAIN_MS_MAX);
}

function pathOf(server: string, environment: string): string {
  const operation = provisionOf(server);
  return operation === undefined ? server : operationPath(operation, environment);
}

function componentOf(name: string, { starts, isUp, isGivenUp, why }: Crashed): ComponentDocument {
  const state = isGivenUp ? 'failed' : isUp ? 'ok' : 'degraded';
  const times = `${starts} ${starts === 1 ? 'time' : 'times'}`;
  const detail = `started again ${times}${isGivenUp ? ', given up' : ''}: ${why}`;
  return { name: `server ${name}`, adapter: 'host', state, detail };
}

function blindComponent(detail: string): ComponentDocument {
  return { name: 'servers', adapter: 'host', state: 'degraded', detail: `cannot be looked at: ${detail}` };
}

function whyOf(error: unknown): string {
  const { message, why } = errorDocumentOf(error);
  return `${message}: ${why}`;
}
