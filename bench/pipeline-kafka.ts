import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPipeline, type Pipeline } from '../src/cli/compose.ts';
import { loadConfig } from '../src/config/load.ts';
import type { NewRecord } from '../src/core/record.ts';
import { BENCH_SETS, benchBatches, masterRows } from './corpus.ts';
import { type Figure, parseFloorUs } from './figure.ts';
import { type Drained, measureCopy } from './kafka-copy.ts';
import type { BenchOptions } from './options.ts';
import { run as runEmbedded } from './pipeline.ts';
import { cpuPerEvent, readCpu } from './processes.ts';

/** Events that pass before the clock starts: compilers and connections take a part of them that a long run has not. */
const WARM_UP_EVENTS = 200_000;
const EVENTS = 600_000;
const RECORDS_PER_COMMIT = 64;
const BIN = join(import.meta.dirname, '../bin/millrace');
const TOPIC = 'services.telemetry.ingest';
/** The same chain in one process, as `pipeline` names it. */
const EMBEDDED = { archive: 'archive on, tables off', tables: 'archive and tables on' } as const;
interface Variant {
  readonly name: string;
  readonly sets: readonly string[];
  readonly embedded: string;
  readonly goal?: Figure['goal'];
}
const VARIANTS: readonly Variant[] = [
  {
    name: 'one worker, archive on, tables off',
    sets: ['kafka.workers=1', 'tables.enabled=off'],
    embedded: EMBEDDED.archive,
  },
  {
    name: 'two workers, archive on, tables off',
    sets: ['kafka.workers=2', 'tables.enabled=off'],
    embedded: EMBEDDED.archive,
    goal: { atLeast: 40_000 },
  },
  {
    name: 'two workers, archive and tables on',
    sets: ['kafka.workers=2'],
    embedded: EMBEDDED.tables,
  },
];
/** The floor: Kafka without the pipeline. */
const COPY = 'copied only';
/** The same where the native client reads. */
const NATIVE_COPY = 'copied only, read by the native client';
/** What `--only` chooses from. */
export const variants: readonly string[] = VARIANTS.map(({ name }) => name);

/**
 * The chain on Kafka and Redis as `up --env services` runs it: transactions, acks=all, marks in Redis, broker and
 * stores on this machine, over events that wait in the input topic. The floors are JSON.parse of the same bytes, and
 * the same events copied through Kafka; beside them, the same chain embedded.
 */
export async function run({ only = '' }: BenchOptions): Promise<readonly Figure[]> {
  const batches = benchBatches(EVENTS);
  const floorUs = parseFloorUs(batches, EVENTS);
  const figures: Figure[] = [{ name: 'JSON.parse, CPU per event', value: floorUs, unit: 'us' }];
  const copy = await measureCopy(EVENTS, 'fetcher');
  if (copy !== undefined) figures.push(...figuresOf({ name: COPY, floorUs }, copy));
  const native = await measureCopy(EVENTS, 'reader');
  if (native !== undefined) figures.push(...figuresOf({ name: NATIVE_COPY, floorUs }, native));
  const chosen = VARIANTS.filter(variant => variant.name.includes(only));
  const embedded = await embeddedRates(new Set(chosen.map(variant => variant.embedded)));
  for (const [name, value] of embedded)
    figures.push({ name: `embedded, ${name}: events`, value, unit: '/s' });
  for (const { name, sets, goal, embedded: same } of chosen) {
    const measured = await runOver(batches, [...BENCH_SETS, ...sets]);
    figures.push(...figuresOf({ name, floorUs, goal }, measured));
    const ratio = measured.rate / embedded.get(same)!;
    figures.push({ name: `${name}: it / embedded`, value: ratio, unit: 'ratio' });
    if (copy === undefined) continue;
    figures.push({ name: `${name}: it / ${COPY}`, value: measured.rate / copy.rate, unit: 'ratio' });
  }
  return figures;
}

/** Events a second of the chain in one process, by the names that `pipeline` has. */
async function embeddedRates(names: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
  const rates = new Map<string, number>();
  for (const name of names) {
    const figures = await runEmbedded({ only: name });
    rates.set(name, figures.find(figure => figure.name === `${name}: events`)!.value);
  }
  return rates;
}

function figuresOf(
  { name, floorUs, goal }: { name: string; floorUs: number; goal?: Figure['goal'] },
  { rate, parts }: Drained,
): readonly Figure[] {
  return [
    { name: `${name}: events`, value: rate, unit: '/s', ...(goal === undefined ? {} : { goal }) },
    { name: `${name}: it / JSON.parse`, value: (rate * floorUs) / 1e6, unit: 'ratio' },
    ...parts.map(([part, value]) => ({ name: `${name}: CPU of ${part}`, value, unit: 'us' }) as const),
  ];
}

async function runOver(batches: readonly Buffer[], sets: readonly string[]): Promise<Drained> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  // Its operations, as an operator's: the servers stay for both pipelines.
  const millrace = (...words: readonly string[]) =>
    execFileSync(BIN, [...words, '--env', 'services', '--data', dataDirectory], { stdio: 'pipe' });
  try {
    millrace('run', 'Provision', 'KafkaSetup', 'CassandraDbUpdate', '--set', 'operations.watchMs=0');
    const empty = await open(dataDirectory, [...sets, 'kafka.workers=0']);
    for (const { dataset, key, value } of masterRows()) await empty.cache.put(dataset, [{ key, value }]);
    await preload(empty, batches);
    await empty.close();
    const pipeline = await open(dataDirectory, sets);
    try {
      return await drain(pipeline, dataDirectory);
    } finally {
      await pipeline.close();
    }
  } finally {
    millrace('down');
    await rm(dataDirectory, { recursive: true });
  }
}

async function drain({ log }: Pipeline, dataDirectory: string): Promise<Drained> {
  const received = async () => (await log.describe()).counters['extract.received'] ?? 0;
  while ((await received()) < WARM_UP_EVENTS) await sleep(500);
  const [startedMs, first, startedCpu] = [performance.now(), await received(), await readCpu(dataDirectory)];
  // Seldom until the end: each look asks the broker for every topic's ends.
  while ((await received()) < EVENTS) await sleep(500);
  while (!(await log.isIdle())) await sleep(50);
  const [wallMs, endedCpu] = [performance.now() - startedMs, await readCpu(dataDirectory)];
  const events = EVENTS - first;
  if ((await received()) !== EVENTS) throw new Error(`${await received()} events of ${EVENTS} were received`);
  return { rate: events / (wallMs / 1000), parts: cpuPerEvent([startedCpu, endedCpu], events) };
}

async function open(dataDirectory: string, sets: readonly string[]): Promise<Pipeline> {
  const environmentsDirectory = join(import.meta.dirname, '../environments');
  const { config } = loadConfig({ environment: 'services', environmentsDirectory, env: {}, sets });
  const signal = new AbortController().signal;
  return openPipeline({ config, environment: 'services', dataDirectory, print: () => {}, signal });
}

async function preload({ log }: Pipeline, batches: readonly Buffer[]): Promise<void> {
  const partitions = log.partitionCount(TOPIC);
  const record = (value: Buffer): NewRecord => ({ key: null, timeMs: Date.now(), headers: {}, value });
  for (let at = 0; at < batches.length; at += RECORDS_PER_COMMIT) {
    const records = batches.slice(at, at + RECORDS_PER_COMMIT).map(record);
    await log.commit({
      appends: [{ topic: TOPIC, partition: (at / RECORDS_PER_COMMIT) % partitions, records }],
    });
  }
}
