import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCacheOwner } from '../src/adapters/cache/sqlite-cache.ts';
import { openEmbeddedLog } from '../src/adapters/log/embedded-log.ts';
import { openPipeline, type Pipeline } from '../src/cli/compose.ts';
import { prepareDataDirectory } from '../src/cli/data-directory.ts';
import { loadConfig } from '../src/config/load.ts';
import type { Config } from '../src/config/options.ts';
import type { NewRecord } from '../src/core/record.ts';
import { createLogger } from '../src/observability/logger.ts';
import { BENCH_SETS, benchBatches, masterRows, ofManyDevices } from './corpus.ts';
import { busyParseFloorUs, cpuUs, type Figure, parseFloorUs } from './figure.ts';
import type { BenchOptions } from './options.ts';

/** Events that pass before the clock starts: until then the compiler's threads take a part that a long run has not. */
const WARM_UP_EVENTS = 200_000;
const EVENTS = 600_000;
const RECORDS_PER_COMMIT = 4;
const TOPIC = 'local.telemetry.ingest';
/** Events to measure over, and with what. */
const CORPORA = [
  {
    events: '',
    change: undefined,
    variants: [
      { name: 'archive and tables off', sets: ['archive.enabled=off', 'tables.enabled=off'], isGoal: false },
      { name: 'archive on, tables off', sets: ['tables.enabled=off'], isGoal: true },
      { name: 'archive and tables on', sets: [], isGoal: false },
    ],
  },
  {
    events: 'many devices: ',
    change: ofManyDevices,
    variants: [{ name: 'many devices: archive on, tables off', sets: ['tables.enabled=off'], isGoal: false }],
  },
];
/** What `--only` chooses from. */
export const variants: readonly string[] = CORPORA.flatMap(corpus => corpus.variants.map(({ name }) => name));

/**
 * The chain on the embedded log as `up` runs it: jobs and sinks in threads of their own, every batch durable, over
 * events that wait in the input topic. The floors are JSON.parse of the same bytes in the same process, alone and while
 * the other core parses too.
 */
export async function run({ only = '' }: BenchOptions): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const { events, change, ...corpus } of CORPORA) {
    const chosen = corpus.variants.filter(({ name }) => name.includes(only));
    if (chosen.length === 0) continue;
    const batches = benchBatches(EVENTS, change);
    const floorUs = parseFloorUs(batches, EVENTS);
    const busyFloorUs = await busyParseFloorUs(batches, EVENTS);
    figures.push(
      { name: `${events}JSON.parse, CPU per event`, value: floorUs, unit: 'us' },
      { name: `${events}JSON.parse while the other core parses`, value: busyFloorUs, unit: 'us' },
    );
    for (const { name, sets, isGoal } of chosen) {
      const measured = await runOver(batches, [...BENCH_SETS, ...sets]);
      figures.push(...figuresOf(name, measured, { floorUs, busyFloorUs, isGoal }));
    }
  }
  return figures;
}

function figuresOf(
  name: string,
  { eventsPerSecond, eventUs, threads }: Awaited<ReturnType<typeof runOver>>,
  { floorUs, busyFloorUs, isGoal }: { floorUs: number; busyFloorUs: number; isGoal: boolean },
): readonly Figure[] {
  return [
    { name: `${name}: events`, value: eventsPerSecond, unit: '/s', ...goal(isGoal, { atLeast: 60_000 }) },
    { name: `${name}: CPU per event`, value: eventUs, unit: 'us', ...goal(isGoal, { atMost: 20 }) },
    {
      name: `${name}: JSON.parse / it`,
      value: floorUs / eventUs,
      unit: 'ratio',
      ...goal(isGoal, { atLeast: 0.35 }),
    },
    { name: `${name}: that beside another / it`, value: busyFloorUs / eventUs, unit: 'ratio' },
    ...threads.map(([thread, value]) => ({ name: `${name}: ${thread}`, value, unit: 'us' as const })),
  ];
}

function goal(isGoal: boolean, value: NonNullable<Figure['goal']>): { goal?: NonNullable<Figure['goal']> } {
  return isGoal ? { goal: value } : {};
}

async function runOver(batches: readonly Buffer[], sets: readonly string[]) {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const environmentsDirectory = join(import.meta.dirname, '../environments');
  const { config } = loadConfig({ environment: 'local', environmentsDirectory, env: {}, sets });
  try {
    await preload(dataDirectory, config, batches);
    const pipeline = await open(dataDirectory, config);
    // A thread that fails ends the benchmark: what is waited for would never come.
    const failed = Promise.race([...pipeline.chain, pipeline.sinks].map(thread => thread.failed));
    const pause = () => Promise.race([failed, sleep(10)]);
    while ((await extracted(pipeline)) < WARM_UP_EVENTS) await pause();
    const [passed, startedMs, started] = [
      await extracted(pipeline),
      performance.now(),
      await readCpu(pipeline),
    ];
    while (!pipeline.log.isIdle()) await pause();
    const [wallMs, ended] = [performance.now() - startedMs, await readCpu(pipeline)];
    await assertWhole(pipeline);
    await pipeline.close();
    const measured = EVENTS - passed;
    const { all, ...threads } = perEvent(ended, started, measured);
    return { eventsPerSecond: measured / (wallMs / 1000), eventUs: all, threads: Object.entries(threads) };
  } finally {
    await rm(dataDirectory, { recursive: true });
  }
}

/** Events that the chain has taken in and made durable. */
async function extracted({ log }: Pipeline): Promise<number> {
  return (await log.describe()).counters['extract.received'] ?? 0;
}

/** CPU time so far, microseconds: all threads, and each by itself. */
async function readCpu({ chain, sinks }: Pipeline) {
  const total = ({ user, system }: { user: number; system: number }) => user + system;
  const [jobs, archive] = await Promise.all([chain[0]!.calls.cpuUsage(), sinks.calls.cpuUsage()]);
  return { all: cpuUs(), main: total(process.threadCpuUsage()), chain: total(jobs), sinks: total(archive) };
}

type Cpu = Awaited<ReturnType<typeof readCpu>>;

/** Between two readings, an event. All other threads: the collector's, the compiler's, those of files and zlib. */
function perEvent(ended: Cpu, started: Cpu, events: number) {
  const of = (name: keyof Cpu) => (ended[name] - started[name]) / events;
  const [all, main, chain, sinks] = [of('all'), of('main'), of('chain'), of('sinks')];
  return {
    all,
    'of it the log (main thread)': main,
    'of it the chain': chain,
    'of it the sinks': sinks,
    'of it all other threads': all - main - chain - sinks,
  };
}

/** A number counts only where the work was done: every event received, and each of them accounted for. */
async function assertWhole({ log }: Pipeline): Promise<void> {
  const { counters } = await log.describe();
  const count = (name: string) => counters[name] ?? 0;
  const ended =
    count('validate.rejected') +
    count('topic.druid.events.log') -
    count('extract.derived') +
    count('dedup.dropped');
  const routed = count('route.received');
  if (count('extract.received') !== EVENTS || ended + routed !== EVENTS) {
    throw new Error(`the run is not whole: ${JSON.stringify(counters)}`);
  }
}

const open = (dataDirectory: string, config: Config) =>
  openPipeline({
    config,
    environment: 'local',
    dataDirectory,
    print: () => {},
    signal: new AbortController().signal,
  });

/** Puts master data and events in place; the chain is held back by opening it only afterwards. */
async function preload(dataDirectory: string, config: Config, batches: readonly Buffer[]): Promise<void> {
  const paths = await prepareDataDirectory(dataDirectory, 'local');
  const cache = openCacheOwner(paths.cacheFile);
  for (const { dataset, key, value } of masterRows()) await cache.put(dataset, [{ key, value }]);
  await cache.close();
  const log = await openEmbeddedLog({
    directory: paths.log,
    topics: [{ topic: TOPIC, partitions: 1 }],
    segmentBytes: config['log.segmentBytes'],
    retentionMs: config['log.retentionMs'],
    retentionBytes: config['log.retentionBytes'],
    behindBytesMax: config['log.behindBytesMax'],
    freeBytesMin: 0,
    queueBytesMax: config['log.queueBytesMax'],
    logger: createLogger('warn', 'bench'),
  });
  const record = (value: Buffer): NewRecord => ({ key: null, timeMs: Date.now(), headers: {}, value });
  for (let at = 0; at < batches.length; at += RECORDS_PER_COMMIT) {
    const records = batches.slice(at, at + RECORDS_PER_COMMIT).map(record);
    await log.commit({ appends: [{ topic: TOPIC, partition: 0, records }] });
  }
  await log.close();
}
