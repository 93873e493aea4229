import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../config/load.ts';
import { trimLog } from '../config/trim-log.ts';
import { MillraceError } from '../core/errors.ts';
import type { Call } from './call.ts';
import { refuseServed } from './compose-owner.ts';
import { ask, findServer, readServing } from './http-client.ts';

const READY_MS_MAX = 60_000;
/** Servers come first there, and what they run may be downloaded and built before: while it lives it is waited for. */
const SERVERS_READY_MS_MAX = 40 * 60_000;
const LOOK_MS = 50;
const TRIM_MS = 10_000;

/**
 * Starts `up` as a process of its own, in a session of its own, and resolves when it is ready. What it says
 * goes to `<data>/<environment>-up.log`. Rejects with what it said where it ends before.
 */
export async function detach(call: Call, port: number | undefined): Promise<void> {
  const { settings } = call;
  const flags = ['--env', settings.environment, '--data', settings.dataDirectory];
  for (const set of settings.sets) flags.push('--set', set);
  if (port !== undefined) flags.push('--port', String(port));
  if (call.flag('sample')) flags.push('--sample');
  await startDetached(call, flags);
}

/** The flags that the detached process was started with, for `restart`; undefined where it was not detached. */
export function detachedFlags({ settings }: Call, pid: number): readonly string[] | undefined {
  try {
    const document = JSON.parse(readFileSync(detachedFile(settings), 'utf8')) as Detached;
    return document.pid === pid ? document.flags : undefined;
  } catch {
    // None was ever started so, or its file was removed.
    return undefined;
  }
}

interface Detached {
  readonly pid: number;
  readonly flags: readonly string[];
}

function detachedFile({ dataDirectory, environment }: Call['settings']): string {
  return join(dataDirectory, `${environment}-up.json`);
}

/** What the detached process of an environment says. */
export function detachedLog({ dataDirectory, environment }: Call['settings']): string {
  return join(dataDirectory, `${environment}-up.log`);
}

/** All that a detached process leaves in the data directory beside the environment's folder. */
export function detachedFiles(settings: Call['settings']): readonly string[] {
  const log = detachedLog(settings);
  return [log, `${log}.1`, detachedFile(settings)];
}

/** Has this process, where it was detached, cut its log under a cap as those of servers are, until it ends. */
export function keepLogTrimmed(call: Call): void {
  const trim = () => {
    if (detachedFlags(call, process.pid) !== undefined) void trimLog(detachedLog(call.settings));
  };
  setInterval(trim, TRIM_MS).unref();
}

/** Starts `up` with these flags in the background; see {@link detach}. */
export async function startDetached(call: Call, flags: readonly string[]): Promise<void> {
  const { settings, output } = call;
  // Its log and its flags would be those of the process that serves.
  refuseServed(settings);
  mkdirSync(settings.dataDirectory, { recursive: true, mode: 0o711 });
  const logPath = detachedLog(settings);
  writeFileSync(logPath, '', { mode: 0o600 });
  // For appending: what is written after the log was cut stands at its begin.
  const log = openSync(logPath, 'a', 0o600);
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [...process.execArgv, main, 'up', ...flags], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const detached: Detached = { pid: child.pid ?? 0, flags };
  writeFileSync(detachedFile(settings), `${JSON.stringify(detached)}\n`, { mode: 0o600 });
  await waitUntilReady(call, () => child.exitCode ?? child.signalCode, { pid: child.pid, logPath });
  const serving = readServing(settings);
  const document = { url: serving?.url ?? null, pid: child.pid ?? null, log: logPath };
  output.document(document, () => `Serving ${document.url}, process ${document.pid}, log ${logPath}\n`);
}

async function waitUntilReady(
  call: Call,
  endOf: () => number | string | null,
  child: { readonly pid: number | undefined; readonly logPath: string },
): Promise<void> {
  // The child is the one to ask, whatever --url or MILLRACE_URL say.
  const settings = { ...call.settings, url: undefined };
  const isEmbedded = loadConfig(call.settings).config['log.adapter'] === 'embedded';
  const readyMsMax = isEmbedded ? READY_MS_MAX : SERVERS_READY_MS_MAX;
  const deadlineMs = Date.now() + readyMsMax;
  while (Date.now() < deadlineMs) {
    const end = endOf();
    if (end !== null) throw notUp(`it ended with ${end}`, child.logPath);
    if (readServing(settings)?.pid === child.pid) {
      const { ok } = await ask(findServer(settings), { path: '/health', anyStatus: true });
      if (ok) return;
    }
    await sleep(LOOK_MS);
  }
  throw notUp(`it was not ready within ${readyMsMax} ms`, child.logPath);
}

function notUp(end: string, logPath: string): MillraceError {
  const said = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n    ');
  return new MillraceError('ERR_NOT_READY', `${end}; it said last:\n    ${said}`, {
    remedy: `See ${logPath}`,
  });
}
