import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import type { ComponentDocument } from '../core/documents.ts';
import { type ErrorDocument, MillraceError } from '../core/errors.ts';
import type { RunEvent } from '../core/operation-documents.ts';
import { provisionOf } from '../operations/list.ts';
import { openOperations } from './compose-operations.ts';
import { endedServers } from './compose-servers.ts';

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
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 30_000;
/** One that ran this long had come up well: the next start is not put off, and the count begins anew. */
const STEADY_MS = 60_000;
/** So many starts without a steady one in between are a loop, which somebody has to look at. */
const STARTS_MAX = 5;

/** What is known of a server that has crashed. */
interface Crashed {
  starts: number;
  /** By the monotonic clock. */
  lastMs: number;
  isUp: boolean;
  detail: string;
}

/**
 * Looks each half second whether a server has ended by itself, and starts it again through its operation, with its
 * receipt: at once, then after 0.5 s, doubled up to 30 s. One that was stopped on purpose is left so. A run of somebody
 * else goes first: it holds the lock.
 */
export function keepServers({ settings, config, emit }: KeepSettings): ServerKeeper {
  const crashed = new Map<string, Crashed>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const place = { config, environment: settings.environment, dataDirectory: settings.dataDirectory };

  async function lookOnce(): Promise<void> {
    const ended = await endedServers(place);
    const nowMs = performance.now();
    for (const [name, known] of crashed) {
      known.isUp = !ended.has(name);
      if (known.isUp && nowMs - known.lastMs > STEADY_MS) crashed.delete(name);
    }
    for (const [name, detail] of ended) {
      const known = crashed.get(name) ?? { starts: 0, lastMs: Number.NEGATIVE_INFINITY, isUp: false, detail };
      crashed.set(name, known);
      const delayMs = known.starts === 0 ? 0 : Math.min(AGAIN_MS_MIN * 2 ** (known.starts - 1), AGAIN_MS_MAX);
      if (nowMs - known.lastMs >= delayMs) await startAgain(name, known, detail);
    }
  }

  async function startAgain(name: string, known: Crashed, detail: string): Promise<void> {
    const operation = provisionOf(name);
    const opened = await openOperations({ settings, config, signal, emit });
    const error = await opened
      .run({ paths: [], operations: operation === undefined ? [] : [operation], only: false })
      .then(summary => summary.error, errorOf);
    // Somebody else's run, which looks at it as well: no start of ours.
    if (error?.code === 'ERR_OWNED') return;
    known.starts += 1;
    known.lastMs = performance.now();
    known.isUp = error === null;
    known.detail = error === null ? detail : error.why;
  }

  async function keep(): Promise<void> {
    // Ends when it is stopped.
    while (!signal.aborted) {
      await lookOnce();
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  const keeping = keep().catch((error: unknown) => {
    // Cancelled while it started one: what is left to do is found by the next command.
    if (!signal.aborted) throw error;
  });
  return {
    components: () => [...crashed].map(([name, known]) => componentOf(name, known)),
    async stop() {
      stopping.abort();
      await keeping;
    },
  };
}

function componentOf(name: string, { starts, isUp, detail }: Crashed): ComponentDocument {
  const state = starts >= STARTS_MAX ? 'failed' : isUp ? 'ok' : 'degraded';
  const said = `started again ${starts} times: ${detail}`;
  return { name: `server ${name}`, adapter: 'host', state, detail: said };
}

function errorOf(error: unknown): ErrorDocument {
  if (error instanceof MillraceError) return error.toDocument();
  throw error;
}
