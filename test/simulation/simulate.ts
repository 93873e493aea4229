import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { composeJobs } from '../../src/cli/compose-jobs.ts';
import { type Config, OPTIONS } from '../../src/config/options.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Job } from '../../src/core/job.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { fullTopic, TOPICS, topicKind } from '../../src/core/topics.ts';
import { planLayout } from '../../src/runtime/segments.ts';
import { createRandom } from '../e2e/load.ts';
import {
  type Body,
  Device,
  EVENT_BYTES_MAX,
  malformedRecord,
  recordOf,
  type Sent,
  summaryRecord,
} from './clients.ts';
import { FaultyPorts, PORTS } from './faulty-ports.ts';
import { createMemoryObjects, createMemoryTables } from './memory-stores.ts';
import { assertDelivered } from './oracle.ts';
import { isUnavailable, type Machine, PipelineProcess } from './process.ts';
import { Scheduler } from './scheduler.ts';

/** What happened in a run: proof that it tested something. */
export interface SimulationReport {
  readonly steps: number;
  readonly kills: number;
  readonly stops: number;
  /** Ends of the process by a fault of its stores. */
  readonly collapses: number;
  readonly failures: number;
  readonly acknowledged: number;
  readonly resends: number;
  readonly duplicates: number;
  /** Starts that found a range of the archive begun and not finished. */
  readonly recoveries: number;
  readonly verifications: number;
}

const ENVIRONMENT = 'sim';
const DEVICES = 4;
const BODIES_PER_DEVICE = 14;
const STEPS_MAX = 200_000;
const START_MS = 1_718_000_000_000;
const MINUTE_MS = 60_000;
const SPLITS: readonly (readonly string[])[] = [
  [],
  ['dedup'],
  ['dedup', 'denormalise'],
  ['redact', 'route'],
  ['validate', 'flatten'],
];

/**
 * Runs the pipeline, in memory and on stores that fail, through kills, stops and restarts, as one seed says;
 * then lets the faults end, sends one event more, and asserts that everything is where it belongs.
 */
export async function simulate(
  seed: number,
  jobsOf: (config: Config) => Promise<readonly Job[]> = composeJobs,
) {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-sim-'));
  try {
    const simulation = new Simulation({ seed, directory, jobsOf });
    return await simulation.run();
  } catch (error) {
    throw new Error(`seed ${seed} fails; repeat it with: npm run sim -- --seed ${seed}`, { cause: error });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

class Simulation {
  readonly #random: () => number;
  readonly #scheduler: Scheduler;
  readonly #ports: FaultyPorts;
  readonly #objects = createMemoryObjects();
  readonly #tables = createMemoryTables();
  readonly #sent: Sent = { endings: new Map(), acknowledged: [] };
  readonly #settings: {
    readonly directory: string;
    readonly jobsOf: (config: Config) => Promise<readonly Job[]>;
  };
  readonly #partitions: number;
  /** Marks run out within the run; then there is one line of jobs and one partition, or their order would tell. */
  readonly #isTtlShort: boolean;
  readonly #counts = { kills: 0, stops: 0, collapses: 0, resends: 0, recoveries: 0, verifications: 0 };
  #machine!: Machine;
  #process: PipelineProcess | undefined;
  #nowMs = START_MS;

  constructor(settings: {
    seed: number;
    directory: string;
    jobsOf: (config: Config) => Promise<readonly Job[]>;
  }) {
    this.#settings = settings;
    this.#random = createRandom(settings.seed);
    this.#scheduler = new Scheduler(this.#random);
    this.#ports = new FaultyPorts(this.#scheduler, this.#random);
    this.#isTtlShort = this.#random() < 0.3;
    this.#partitions = this.#isTtlShort || this.#random() < 0.5 ? 1 : 3;
  }

  async run(): Promise<SimulationReport> {
    await this.#prepare();
    const devices = Array.from({ length: DEVICES }, (_, i) => this.#runDevice(`device-${i}`));
    const all = Promise.all([...devices, this.#runOperator()]);
    await this.#driveUntil(all, true);
    this.#ports.heal();
    this.#scheduler.isAdverse = false;
    const liveness = this.#sendFresh();
    await this.#driveUntil(liveness, false);
    await this.#driveUntil(this.#caughtUp(), false);
    await this.#driveUntil(this.#flush(), false);
    const last = this.#process!;
    last.kill();
    const remains = {
      ...this.#machine,
      topics: topicsOf(this.#partitions),
      layout: last.layout,
      objects: this.#objects.objects,
      rows: this.#tables.rows,
      sent: this.#sent,
      isWithinTtl: !this.#isTtlShort,
    };
    const { duplicates } = await assertDelivered(remains);
    const { steps } = this.#scheduler;
    const acknowledged = this.#sent.acknowledged.length;
    return { steps, ...this.#counts, failures: this.#ports.failures, acknowledged, duplicates };
  }

  async #prepare(): Promise<void> {
    const config = configOf(this.#isTtlShort ? 10 * MINUTE_MS : 1000 * MINUTE_MS);
    this.#ports.rate = [0, 0.01, 0.05][Math.floor(this.#random() * 3)]!;
    this.#machine = {
      scheduler: this.#scheduler,
      ports: this.#ports,
      log: openMemoryLog(topicsOf(this.#partitions)),
      objects: this.#objects,
      tables: this.#tables,
      cache: {
        get: async keys => keys.map(({ dataset, key }) => ({ id: `${dataset} ${key}`, state: 'Kerala' })),
      },
      directory: this.#settings.directory,
      config,
      environment: ENVIRONMENT,
      jobs: await this.#settings.jobsOf(config),
      snapshotEvery: 5,
      chunkBytes: 2_000,
      // Stores that answer at once are not waited for: chunks then go one by one.
      chunksMax: this.#random() < 0.5 ? 1 : 3,
      nowMs: () => this.#nowMs,
    };
  }

  /** Lets turns go on until the work is done; kills, stops and takes stores away meanwhile where told to. */
  async #driveUntil(work: Promise<unknown>, isFaulty: boolean): Promise<void> {
    let isDone = false;
    const settled = work.finally(() => {
      isDone = true;
    });
    settled.catch(() => {});
    while (!isDone) {
      await this.#ensureProcess();
      if (isFaulty) this.#disturb();
      this.#tick();
      const hasMoved = await this.#scheduler.step();
      const isEnding = hasMoved && this.#scheduler.steps < STEPS_MAX;
      if (!isEnding && !isDone) throw new Error(`no end in sight: ${this.#scheduler.waiting().join(', ')}`);
    }
    await settled;
  }

  async #ensureProcess(): Promise<void> {
    if (this.#process !== undefined && !this.#process.isGone) return;
    const failure = this.#process?.failure ?? null;
    if (failure !== null && !isUnavailable(failure)) throw failure;
    if (failure !== null) this.#counts.collapses += 1;
    if (await this.#hasOpenIntent()) this.#counts.recoveries += 1;
    const { jobs } = this.#machine;
    const split = this.#isTtlShort ? [] : SPLITS[Math.floor(this.#random() * SPLITS.length)]!;
    const layout = planLayout(jobs, split, this.#random() < 0.3 ? 'all' : 'edges');
    this.#process = new PipelineProcess(this.#machine, layout);
    await this.#process.start();
  }

  #disturb(): void {
    const chance = this.#random();
    if (chance < 0.004) {
      this.#counts.kills += 1;
      this.#process!.kill();
    } else if (chance < 0.005 && this.#process!.isReady) {
      this.#counts.stops += 1;
      this.#process!.stop();
    } else if (chance < 0.009) {
      const port = PORTS[Math.floor(this.#random() * PORTS.length)]!;
      this.#ports.takeAway(port, Math.floor(this.#random() * 150));
    } else if (chance < 0.012) void this.#verify();
  }

  #tick(): void {
    this.#nowMs += Math.floor(this.#random() * 200);
    const chance = this.#random();
    if (chance < 0.003) this.#nowMs += Math.floor(this.#random() * 6 * MINUTE_MS);
    else if (chance < 0.006 && !this.#isTtlShort) this.#nowMs -= 5_000;
  }

  async #verify(): Promise<void> {
    const process = this.#process!;
    const { failures } = this.#ports;
    const verdict = await process.verify().catch((error: unknown) => {
      // Ends the run: the process's failure is looked at before the next step.
      process.failure = error;
      process.kill();
      return undefined;
    });
    // An object that cannot be read counts as damaged, also where the store was away.
    if (verdict === undefined || this.#ports.failures > failures) return;
    this.#counts.verifications += 1;
    if (verdict.ok) return;
    process.failure = new Error(`the archive is not whole: ${JSON.stringify(verdict)}`);
    process.kill();
  }

  async #runDevice(id: string): Promise<void> {
    await this.#scheduler.run({ name: id, isMortal: false, isComputing: false }, async () => {
      const device = new Device(id, this.#random, this.#sent);
      for (let i = 0; i < BODIES_PER_DEVICE; i++) {
        const body = device.nextBody(this.#nowMs);
        await this.#send('telemetry.ingest', () => recordOf(body, this.#nowMs));
        this.#sent.acknowledged.push(body);
        await this.#scheduler.turn('next batch');
      }
    });
  }

  /** Puts unreadable records and summaries into the input topics. */
  async #runOperator(): Promise<void> {
    await this.#scheduler.run({ name: 'operator', isMortal: false, isComputing: false }, async () => {
      for (let i = 0; i < BODIES_PER_DEVICE; i++) {
        const isSummary = !this.#isTtlShort && this.#random() < 0.7;
        const [topic, make] = isSummary
          ? (['telemetry.derived', () => summaryRecord(`summary-${i >> 1}`, this.#nowMs)] as const)
          : (['telemetry.ingest', () => malformedRecord('device-0', this.#nowMs)] as const);
        await this.#send(topic, make);
        await this.#scheduler.turn('next record');
      }
    });
  }

  /** Again and again until it is acknowledged; the process may have stored it and died before it said so. */
  async #send(topic: string, make: () => NewRecord): Promise<void> {
    // Ends: the faults do, and then the process answers.
    while (true) {
      try {
        if (this.#process?.isReady !== true) throw new MillraceError('ERR_NOT_SERVING', 'nobody listens');
        await this.#process.append(topic, make);
        return;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        this.#counts.resends += 1;
        await this.#scheduler.turn('send again', { isIdle: () => this.#process?.isReady !== true });
      }
    }
  }

  async #sendFresh(): Promise<void> {
    const device = new Device('fresh', () => 0.5, this.#sent);
    const body: Body = device.nextBody(this.#nowMs);
    await this.#send('telemetry.ingest', () => recordOf(body, this.#nowMs));
    this.#sent.acknowledged.push(body);
  }

  /** Resolves when every group that reads now has committed everything. */
  async #caughtUp(): Promise<void> {
    while (!(await this.#isCaughtUp())) await this.#scheduler.turn('look whether all is done');
  }

  async #isCaughtUp(): Promise<boolean> {
    const { layout, isReady } = this.#process!;
    if (!isReady) return false;
    const { topics, offsets } = await this.#machine.log.describe();
    const isRead = (group: string, topic: string) =>
      topics
        .find(entry => entry.topic === topic)!
        .partitions.every(({ partition, endOffset }) =>
          offsets.some(
            at =>
              at.group === group &&
              at.topic === topic &&
              at.partition === partition &&
              at.offset >= endOffset,
          ),
        );
    const tables = offsets.filter(({ group }) => group === 'tables').map(({ topic }) => topic);
    return (
      tables.length > 0 &&
      tables.every(topic => isRead('tables', topic)) &&
      layout.segments.every(({ group, inputs }) =>
        inputs.every(topic => isRead(group, fullTopic(ENVIRONMENT, topic))),
      )
    );
  }

  async #flush(): Promise<void> {
    await this.#process!.flush();
  }

  async #hasOpenIntent(): Promise<boolean> {
    const { topics, offsets } = await this.#machine.log.describe();
    const topic = fullTopic(ENVIRONMENT, 'archive.intents');
    const end = topics.find(entry => entry.topic === topic)!.partitions[0]!.endOffset;
    return end > (offsets.find(at => at.group === 'archive' && at.topic === topic)?.offset ?? 0);
  }
}

function topicsOf(partitions: number) {
  return Object.keys(TOPICS).map(name => ({
    topic: fullTopic(ENVIRONMENT, name),
    partitions: topicKind(name) === 'internal' ? 1 : partitions,
  }));
}

function configOf(ttlMs: number): Config {
  const fallbacks = Object.fromEntries(Object.entries(OPTIONS).map(([key, { fallback }]) => [key, fallback]));
  return {
    ...(fallbacks as unknown as Config),
    'dedup.producers': ['sim.portal'],
    'dedup.ttlMs': ttlMs,
    'extract.eventBytesMax': EVENT_BYTES_MAX,
    'chain.batchRecordsMax': 4,
    'archive.objectBytes': 4_000,
    'archive.openMsMax': 60_000,
    'tables.batchRowsMax': 7,
  };
}

/** `--seed N` repeats one run; `--rounds N` runs N seeds from there on. */
async function main(args: readonly string[]): Promise<void> {
  const numberAfter = (flag: string, fallback: number) => {
    const at = args.indexOf(flag);
    return at === -1 ? fallback : Number(args[at + 1]);
  };
  const first = numberAfter('--seed', 1);
  const rounds = numberAfter('--rounds', 1);
  assert.ok(Number.isSafeInteger(first) && Number.isSafeInteger(rounds), 'usage: --seed N [--rounds N]');
  for (let seed = first; seed < first + rounds; seed++) {
    process.stdout.write(`${JSON.stringify({ seed, ...(await simulate(seed)) })}\n`);
  }
}

if (import.meta.main) await main(process.argv.slice(2));
