import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import { isObject, type Json, type JsonObject, textAt } from '../core/event.ts';
import type { Trial } from '../operations/engine/site.ts';
import { ask, type Server } from './http-client.ts';
import { sampleBatches } from './sample-events.ts';
import type { TrialSetup } from './trial-worker.ts';

/** Ten times what it takes on a machine that does nothing else, and never less than a minute. */
const READY_MS_MAX = 60_000;
const IDLE_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
const LOOK_MS = 25;
const SAID_BYTES_MAX = 4096;
/** Kinds of the made-up events whose way through the jobs has one end, the topic of events. */
const PLAIN_EIDS = ['IMPRESSION', 'INTERACT', 'START', 'END'];

/** A trial with its end. */
export interface RunningTrial extends Trial {
  /** Stops the instance and removes its data. */
  close(): Promise<void>;
}

/**
 * Starts the whole pipeline in a process of its own, on embedded stores in an empty folder and on a free port, so
 * that it can be tried without an event too many in the environment. Resolves when it serves.
 * @param folder  removed before and after
 */
export async function startTrial(config: Config, environment: string, folder: string): Promise<RunningTrial> {
  await rm(folder, { recursive: true, force: true });
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, './trial-worker.ts')],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      // Not of the terminal's group: Ctrl-C is for the run, which then ends the instance.
      detached: true,
    },
  );
  const said = lastWords(child);
  // A child that is gone says why on its standard error.
  child.stdin!.on('error', () => undefined);
  const setup: TrialSetup = { config: { ...config, ...TRIAL_CONFIG }, environment, dataDirectory: folder };
  child.stdin!.write(`${JSON.stringify(setup)}\n`);
  const close = async () => {
    await stop(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const server = await untilServing(child, join(folder, environment), said);
    return { ...trialOf(server), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Its own stores and port, and nothing that reaches outside. */
const TRIAL_CONFIG = {
  'http.host': '127.0.0.1',
  'http.port': 0,
  'http.allowedHosts': [],
  'ingest.tokens': [],
  'log.adapter': 'embedded',
  'state.adapter': 'embedded',
  'cache.adapter': 'sqlite',
  'tables.adapter': 'sqlite',
  'kafka.target': 'external',
  'redis.target': 'external',
  'postgres.target': 'external',
  'debug.failpoint': '',
} as const satisfies Partial<Config>;

function lastWords(child: ChildProcess): () => string {
  let text = '';
  child.stderr!.on('data', chunk => {
    text = (text + String(chunk)).slice(-SAID_BYTES_MAX);
  });
  return () => text.trim();
}

async function untilServing(child: ChildProcess, root: string, said: () => string): Promise<Server> {
  const deadlineMs = performance.now() + READY_MS_MAX;
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw notUp(`it ended with ${child.exitCode ?? child.signalCode}`, said());
    }
    const server = await findTrial(root);
    if (server !== undefined) {
      const { ok } = await ask(server, { path: '/health', anyStatus: true });
      if (ok) return server;
    }
    await delay(LOOK_MS);
  }
  throw notUp(`it did not serve within ${READY_MS_MAX} ms`, said());
}

async function findTrial(root: string): Promise<Server | undefined> {
  try {
    const serving = JSON.parse(await readFile(join(root, 'serving.json'), 'utf8')) as { url: string };
    return { url: serving.url, token: (await readFile(join(root, 'token'), 'utf8')).trim() };
  } catch {
    // Not there yet; whether it comes at all is the caller's deadline.
    return undefined;
  }
}

function notUp(what: string, said: string): MillraceError {
  return new MillraceError('ERR_VERIFY_FAILED', `an instance was started for a trial, and ${what}: ${said}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.stdin!.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
}

function trialOf(server: Server): Trial {
  const askAny: Trial['ask'] = async (path, { method, body, type } = {}) => {
    const response = await ask(server, {
      method: method ?? 'GET',
      path,
      anyStatus: true,
      ...(body === undefined ? {} : { body }),
      ...(type === undefined ? {} : { contentType: type }),
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text) };
  };
  let sampled: Promise<{ mids: readonly string[]; badMid: string }> | undefined;
  return {
    url: server.url,
    ask: askAny,
    untilIdle: () => untilIdle(askAny),
    sample: () => {
      sampled ??= sendSample(askAny);
      return sampled;
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Lines and metrics are no one document.
    return text;
  }
}

async function untilIdle(askAny: Trial['ask']): Promise<JsonObject> {
  const deadlineMs = performance.now() + IDLE_MS_MAX;
  while (performance.now() < deadlineMs) {
    const { body } = await askAny('/v1/status');
    if (isObject(body) && body['idle'] === true) return body;
    await delay(LOOK_MS);
  }
  throw new MillraceError('ERR_VERIFY_FAILED', `events wait for their jobs after ${IDLE_MS_MAX} ms`);
}

/** Two good events and one of a kind that no schema knows, in a batch that is sent twice. */
async function sendSample(askAny: Trial['ask']): Promise<{ mids: readonly string[]; badMid: string }> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const batch = sampleBatches({ seed, batchEvents: 40, nowMs: Date.now }).next().value;
  const events = batch?.['events'];
  const made: readonly Json[] = Array.isArray(events) ? events : [];
  const good = made.filter(event => PLAIN_EIDS.includes(textAt(event, 'eid') ?? '')).slice(0, 2);
  const mids = good.map(event => textAt(event, 'mid') ?? '');
  const badMid = `trial-${seed}`;
  const bad = { ...(isObject(good[0]) ? good[0] : {}), eid: 'NO_SUCH_KIND', mid: badMid };
  const body = JSON.stringify({ ...batch, events: [...good, bad] });
  for (let copy = 0; copy < 2; copy++) {
    const { status } = await askAny('/v1/telemetry', { method: 'POST', body });
    if (status !== 200) throw new MillraceError('ERR_VERIFY_FAILED', `POST /v1/telemetry answered ${status}`);
  }
  return { mids, badMid };
}
