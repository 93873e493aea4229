import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../src/config/options.ts';
import { bringUpServers } from '../servers/bring-up.ts';
import { startServers } from '../servers/servers.ts';
import { anEvent, createRandom, type Load, startLoad } from './load.ts';
import { Millrace, ROOT } from './millrace.ts';
import { assertNothingLostOrDoubled } from './oracle.ts';

/**
 * The long run: MILLRACE_TEST_FAULT_MS=60000 MILLRACE_TEST_JOINS=50 MILLRACE_TEST_NODES=3;
 * MILLRACE_TEST_SEED repeats one.
 */
const FAULT_MS = Number(process.env['MILLRACE_TEST_FAULT_MS'] ?? 10_000);
const JOINS = Number(process.env['MILLRACE_TEST_JOINS'] ?? 3);
const NODES = Number(process.env['MILLRACE_TEST_NODES'] ?? 1);
const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
/** Longer than the group takes a silent member for dead. */
const PAUSE_MS = 9_000;
const FRESH_MS_MAX = 10_000;

const servers = await startServers(['redis', 'postgres', 'kafka'], { 'kafka.nodes': NODES });
const skip = 'skip' in servers ? servers.skip : false;

/** Places in a transaction where a worker may kill itself: records sent, offsets sent, committed. */
const FAILPOINTS = ['kafka.beforeOffsets', 'kafka.beforeCommit', 'kafka.afterCommit'];
/** Transactions that go by before that, at most. */
const PASSES_MAX = 30;

/**
 * The workers of the chain, each started again when it ends, as a supervisor would. Every other start is with a place
 * in a transaction at which the worker kills itself, until the faults are over.
 */
class Workers {
  readonly #flags: readonly string[];
  readonly #random: () => number;
  readonly #running = new Map<number, ChildProcess>();
  readonly #wanted = new Set<number>();

  /** Whether the workers that start from here on may kill themselves. */
  areFaulty = true;
  /** Ends that a failpoint may have brought about: by SIGKILL. */
  kills = 0;

  constructor(flags: readonly string[], random: () => number) {
    this.#flags = flags;
    this.#random = random;
  }

  start(instance: number): void {
    this.#wanted.add(instance);
    const argv = ['worker', '--instance', String(instance), '--quiet', ...this.#flags, ...this.#fault()];
    const child = spawn(join(ROOT, 'bin/millrace'), argv, { stdio: 'ignore' });
    this.#running.set(instance, child);
    child.once('exit', (_, signal) => {
      if (signal === 'SIGKILL') this.kills += 1;
      if (this.#wanted.has(instance)) this.start(instance);
    });
  }

  /** Sends a signal to a worker that runs. */
  signal(instance: number, name: NodeJS.Signals): void {
    this.#running.get(instance)?.kill(name);
  }

  /** Lets a worker leave; resolves when it has. */
  async leave(instance: number): Promise<void> {
    this.#wanted.delete(instance);
    const child = this.#running.get(instance);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  #fault(): readonly string[] {
    const place = FAILPOINTS[Math.floor(this.#random() * FAILPOINTS.length * 2)];
    if (place === undefined || !this.areFaulty) return [];
    return ['--set', `debug.failpoint=${place}:${Math.floor(this.#random() * PASSES_MAX)}`];
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#wanted].map(instance => this.leave(instance)));
  }
}

describe(`workers, broker and Redis killed under load (seed ${SEED})`, { skip }, () => {
  let millrace: Millrace;
  let workers: Workers;
  let load: Load | undefined;

  before(async () => {
    assert.ok(!('skip' in servers));
    // At once: a run that is cut off must be repeatable, too.
    process.stdout.write(`seed ${SEED}\n`);
    const sets = [...bound(servers.bindings), 'kafka.target=external', 'redis.target=external'];
    sets.push('postgres.target=external', 'kafka.workers=0', 'archive.objectBytes=200000');
    millrace = await Millrace.create(sets, 'services');
    await millrace.up();
    const place = ['--env', 'services', '--data', millrace.data];
    workers = new Workers([...place, ...sets.flatMap(set => ['--set', set])], createRandom(SEED + 1));
  });
  after(async () => {
    load?.abandon();
    await workers?.stop();
    await millrace?.remove();
  });

  it(`loses, doubles and disorders nothing in ${FAULT_MS} ms of faults`, async t => {
    const random = createRandom(SEED);
    workers.start(1);
    workers.start(2);
    load = startLoad(millrace, SEED);
    const endMs = Date.now() + FAULT_MS;
    let isServerDue = true;
    while (Date.now() < endMs) {
      await sleep(500 + random() * 2000);
      workers.signal(random() < 0.5 ? 1 : 2, 'SIGKILL');
      if (isServerDue && Date.now() > endMs - FAULT_MS / 2) {
        isServerDue = false;
        await restart(`kafka-${1 + Math.floor(random() * NODES)}`);
        await restart('redis');
      }
    }
    workers.areFaulty = false;
    // One is silent for longer than the group waits, then goes on with what it had in hand.
    workers.signal(1, 'SIGSTOP');
    await sleep(PAUSE_MS);
    workers.signal(1, 'SIGCONT');
    for (let join = 0; join < JOINS; join++) {
      workers.start(3);
      await sleep(300 + random() * 1500);
      await workers.leave(3);
    }
    t.diagnostic(`a fresh event was found after ${await findFresh(millrace)} ms`);
    const report = await load.stop();
    assert.ok(report.valid.size > 200, `${report.valid.size} events acknowledged`);
    const sent = `${report.valid.size} events acknowledged, ${report.resends} batches sent again`;
    t.diagnostic(`${sent}, ${workers.kills} workers killed`);
    await assertNothingLostOrDoubled(millrace, report);
  });
});

/** Kills a server and brings it up again with what it had. */
async function restart(name: string): Promise<void> {
  assert.ok(!('skip' in servers));
  const { context } = servers;
  const { pid } = await context.host.process(name);
  process.kill(pid!, 'SIGKILL');
  while ((await context.host.process(name)).state === 'running') await sleep(20);
  await bringUpServers(context);
}

/** Sends an event and resolves with how long it took, ms, to be found at its end. */
async function findFresh(millrace: Millrace): Promise<number> {
  const startedMs = Date.now();
  const mid = `fresh-${SEED}-0`;
  const events = [anEvent(mid, { type: 'view', pageid: 'home', uri: '/home' })];
  const body = JSON.stringify({ params: { msgid: mid }, events });
  const headers = { 'content-type': 'application/json' };
  let isSent = false;
  while (Date.now() - startedMs < FRESH_MS_MAX) {
    if (!isSent) {
      const url = `${await millrace.url()}/v1/telemetry`;
      isSent = (await fetch(url, { method: 'POST', headers, body })).status === 200;
    }
    if (isSent && (await millrace.fetch(`/v1/trace/${mid}`)).status === 200) return Date.now() - startedMs;
    await sleep(50);
  }
  assert.fail(`a fresh event was not found within ${FRESH_MS_MAX} ms`);
}

function bound(bindings: Partial<Config>): string[] {
  return Object.entries(bindings).map(([key, value]) => `${key}=${textOf(value)}`);
}

function textOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}
