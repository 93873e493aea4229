import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../src/core/job.ts';
import type { Log, ServedLog } from '../../src/core/ports.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { edgeRows } from '../../src/observability/conservation.ts';
import { COPY_STAGES, COPY_TOPICS, copyGroups } from './kafka-copies.ts';
import { createTopics, freshEnvironment, openTestLog, SKIP } from './kafka-fixture.ts';
import { readAll, recordOf, textOf } from './open-log.ts';

const PARTITIONS = 4;
const WORKERS = 2;
const WORKER = new URL('kafka-copy-worker.ts', import.meta.url).pathname;
const LEAVER = new URL('kafka-leave-worker.ts', import.meta.url).pathname;
const LEAVE_MS_MAX = 30_000;
const FAULTS = 8;
/** Long enough to be in the midst of it; the group waits for longer. */
const JOIN_FOR_MS = 1_000;

/** A worker that is started again whenever it ends, until it is told to stop. */
class RestartedWorker {
  readonly ends: string[] = [];
  #child!: ChildProcess;
  #isStopping = false;
  #exited!: Promise<unknown>;
  #isUp!: Promise<unknown>;
  readonly #args: readonly string[];

  constructor(args: readonly string[]) {
    this.#args = args;
    this.#start();
  }

  /** Signals the worker once it is at work. */
  async signal(name: NodeJS.Signals): Promise<void> {
    await this.#isUp;
    this.#child.kill(name);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  #start(): void {
    const child = spawn(process.execPath, [WORKER, ...this.#args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr!.on('data', text => {
      said += text;
    });
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.#isUp = Promise.race([once(child.stdout!, 'data'), this.#exited]);
    child.once('exit', (code, signal) => {
      this.ends.push(`${code ?? signal}: ${said.trim()}`);
      if (!this.#isStopping) setTimeout(() => this.#isStopping || this.#start(), 300);
    });
  }
}

/** Writes numbered records to every partition until it is stopped; answers how many each got. */
async function writeNumbers(log: Log, topic: string, signal: AbortSignal): Promise<readonly number[]> {
  const next = Array.from({ length: PARTITIONS }, () => 0);
  while (!signal.aborted) {
    const appends = next.map((from, partition) => ({
      topic,
      partition,
      records: Array.from({ length: 25 }, (_, i) => ({
        key: `${partition}`,
        timeMs: Date.now(),
        headers: {},
        value: Buffer.from(`${from + i}`),
      })),
    }));
    await log.commit({ appends });
    for (const partition of next.keys()) next[partition]! += 25;
    await sleep(40);
  }
  return next;
}

/** Looks at the edges again and again: whatever happens in between, each look must be balanced. */
async function watchEdges(log: Log, environment: string, signal: AbortSignal): Promise<number> {
  const jobs = COPY_STAGES.map(({ job, input }) => ({ name: job, inputs: [input] }) as unknown as Job);
  const groups = COPY_STAGES.map(({ job, input }) => ({ group: `chain.${job}`, topics: [input] }));
  let looks = 0;
  while (!signal.aborted) {
    const state = await log.describe();
    const rows = edgeRows({ environment, state, jobs, groups, isStored: () => true });
    for (const row of rows) assert.ok(row.balanced, `look ${looks}: ${JSON.stringify(row)}`);
    looks += 1;
    await sleep(100);
  }
  return looks;
}

async function drained(log: ServedLog): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await log.isIdle())) {
    assert.ok(performance.now() < deadlineMs, 'the workers catch up');
    await sleep(200);
  }
}

async function openServed(test: TestContext, environment: string): Promise<ServedLog> {
  return openTestLog(test, environment, {
    role: 'serve',
    topics: COPY_TOPICS.map(name => fullTopic(environment, name)),
    plainTopics: [fullTopic(environment, 'telemetry.ingest')],
    groups: copyGroups(environment),
  });
}

describe('log on Kafka: crashes', { skip: SKIP }, () => {
  it('loses nothing, repeats nothing and keeps the order while workers are killed and stopped', async test => {
    const seed = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
    test.diagnostic(`seed ${seed}`);
    const random = mulberry(seed);
    const environment = freshEnvironment();
    await createTopics(environment, Object.fromEntries(COPY_TOPICS.map(name => [name, PARTITIONS])));
    const log = await openServed(test, environment);
    const workers = Array.from({ length: WORKERS }, (_, i) => new RestartedWorker([environment, `${i}`]));
    test.after(() => Promise.all(workers.map(worker => worker.stop())));
    const stopping = new AbortController();
    const written = writeNumbers(log, fullTopic(environment, 'telemetry.ingest'), stopping.signal);
    const watched = watchEdges(log, environment, stopping.signal);
    for (let fault = 0; fault < FAULTS; fault++) {
      await sleep(500 + 2_000 * random());
      const worker = workers[Math.floor(random() * WORKERS)]!;
      if (fault % 4 === 3) {
        // Past the session and the transaction: its place is taken while it sleeps.
        await worker.signal('SIGSTOP');
        await sleep(9_000);
        await worker.signal('SIGCONT');
      } else {
        await worker.signal(fault % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
      }
    }
    stopping.abort();
    const counts = await written;
    test.diagnostic(`${counts.reduce((a, b) => a + b)} records, ${await watched} looks at the edges`);
    await drained(log);
    await Promise.all(workers.map(worker => worker.stop()));
    test.diagnostic(workers.map(worker => worker.ends.join(' | ')).join(' || '));
    for (const [partition, count] of counts.entries()) {
      const texts = (await readAll(log, fullTopic(environment, 'telemetry.audit'), partition)).map(textOf);
      assert.deepEqual(
        texts,
        Array.from({ length: count }, (_, i) => `${i}`),
        `partition ${partition}`,
      );
    }
  });

  it('gives a join up at once when told to, also while the group waits for a member that was killed', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, Object.fromEntries(COPY_TOPICS.map(name => [name, PARTITIONS])));
    const log = await openServed(test, environment);
    const killed = spawn(process.execPath, [WORKER, environment, '0', 'hold'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(killed, 'exit');
    await once(killed.stdout, 'data');
    const records = [recordOf('held')];
    const appends = [{ topic: fullTopic(environment, 'telemetry.ingest'), partition: 0, records }];
    await log.commit({ appends });
    // It has joined by now.
    await once(killed.stdout, 'data');
    killed.kill('SIGKILL');
    await exited;
    const [{ group, topics }] = copyGroups(environment) as [{ group: string; topics: string[] }];
    const stopping = new AbortController();
    const joining = log.consume(group, topics, stopping.signal);
    stopping.abort();
    await assert.rejects(joining, { name: 'AbortError' });
    const again = new AbortController();
    const joiningAgain = log.consume(group, topics, again.signal);
    setTimeout(() => again.abort(), JOIN_FOR_MS);
    await assert.rejects(joiningAgain, { name: 'AbortError' });
    // Who gave up can join as anybody.
    await (await log.consume(group, topics)).close();
  });

  for (const ms of [0, 20, 200]) {
    it(`lets a process end by itself that gives up joining after ${ms} ms`, async test => {
      const environment = freshEnvironment();
      await createTopics(environment, { alpha: 2, beta: 1 });
      const child = spawn(process.execPath, [LEAVER, environment, `${ms}`], { stdio: 'ignore' });
      test.after(() => child.kill('SIGKILL'));
      const ended = await Promise.race([once(child, 'exit'), sleep(LEAVE_MS_MAX, 'runs on')]);
      assert.deepEqual(ended, [0, null]);
    });
  }

  it('refuses the work of a process that slept while another one took its place', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, Object.fromEntries(COPY_TOPICS.map(name => [name, PARTITIONS])));
    const log = await openServed(test, environment);
    const sleeper = spawn(process.execPath, [WORKER, environment, '0', 'hold'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    test.after(() => sleeper.kill('SIGKILL'));
    const exited = once(sleeper, 'exit');
    await once(sleeper.stdout, 'data');
    const topic = fullTopic(environment, 'telemetry.ingest');
    const records = Array.from({ length: 10 }, (_, i) => recordOf(`${i}`));
    await log.commit({
      appends: Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, records })),
    });
    await once(sleeper.stdout, 'data');
    sleeper.kill('SIGSTOP');
    const successor = new RestartedWorker([environment, '1']);
    test.after(() => successor.stop());
    await drained(log);
    sleeper.kill('SIGCONT');
    assert.deepEqual(await exited, [3, null]);
    assert.equal(await log.isIdle(), true);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const copied = await readAll(log, fullTopic(environment, 'telemetry.audit'), partition);
      assert.deepEqual(
        copied.map(textOf),
        records.map((_, i) => `${i}`),
      );
    }
  });
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
