import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPipeline, type Pipeline } from '../src/cli/compose.ts';
import { loadConfig } from '../src/config/load.ts';
import type { NewRecord } from '../src/core/record.ts';
import { BENCH_SETS, benchBatches, masterRows } from './corpus.ts';
import { type Figure, parseFloorUs } from './figure.ts';
import type { BenchOptions } from './options.ts';

const EVENTS = 200_000;
const RECORDS_PER_COMMIT = 16;
const BIN = join(import.meta.dirname, '../bin/millrace');
const TOPIC = 'services.telemetry.ingest';
const VARIANTS = [
  { name: 'one worker, archive on, tables off', sets: ['kafka.workers=1', 'tables.enabled=off'] },
  {
    name: 'two workers, archive on, tables off',
    sets: ['kafka.workers=2', 'tables.enabled=off'],
    isGoal: true,
  },
  { name: 'two workers, archive and tables on', sets: ['kafka.workers=2'] },
];
/** What `--only` chooses from. */
export const variants: readonly string[] = VARIANTS.map(({ name }) => name);
/** Clock ticks of the kernel's accounting, per second: USER_HZ, the same on every Linux. */
const TICKS_PER_S = 100;

/**
 * The chain on Kafka and Redis as `up --env services` runs it: transactions, acks=all, marks in Redis, broker and
 * stores on this machine, over events that wait in the input topic. The rate is that of what was left when all
 * workers ran. The floor is JSON.parse of the same bytes.
 */
export async function run({ only = '' }: BenchOptions): Promise<readonly Figure[]> {
  const batches = benchBatches(EVENTS);
  const floorUs = parseFloorUs(batches, EVENTS);
  const figures: Figure[] = [{ name: 'JSON.parse, CPU per event', value: floorUs, unit: 'us' }];
  for (const { name, sets, isGoal } of VARIANTS.filter(variant => variant.name.includes(only))) {
    const { rate, parts } = await runOver(batches, [...BENCH_SETS, ...sets]);
    figures.push({
      name: `${name}: events`,
      value: rate,
      unit: '/s',
      ...(isGoal === true ? { goal: { atLeast: 40_000 } } : {}),
    });
    figures.push({ name: `${name}: it / JSON.parse`, value: (rate * floorUs) / 1e6, unit: 'ratio' });
    for (const [part, value] of parts) figures.push({ name: `${name}: CPU of ${part}`, value, unit: 'us' });
  }
  return figures;
}

async function runOver(batches: readonly Buffer[], sets: readonly string[]) {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  // Its operations, as an operator's: the servers stay for both pipelines.
  const millrace = (...words: readonly string[]) =>
    execFileSync(BIN, [...words, '--env', 'services', '--data', dataDirectory], { stdio: 'pipe' });
  try {
    millrace('run', 'Provision', 'KafkaSetup', 'CassandraDbUpdate');
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

async function drain({ log }: Pipeline, dataDirectory: string) {
  const received = async () => (await log.describe()).counters['extract.received'] ?? 0;
  const [startedMs, first, startedCpu] = [performance.now(), await received(), await readCpu(dataDirectory)];
  // Seldom until the end: each look asks the broker for every topic's ends.
  while ((await received()) < EVENTS) await sleep(500);
  while (!(await log.isIdle())) await sleep(50);
  const [wallMs, endedCpu] = [performance.now() - startedMs, await readCpu(dataDirectory)];
  const events = EVENTS - first;
  if ((await received()) !== EVENTS) throw new Error(`${await received()} events of ${EVENTS} were received`);
  const parts = [...endedCpu].map(
    ([part, us]) => [part, (us - (startedCpu.get(part) ?? 0)) / events] as const,
  );
  return { rate: events / (wallMs / 1000), parts };
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

/**
 * CPU time so far by what it went to, microseconds: this process, all that it started, and the servers, which whoever
 * brought them up has left running: they run in the data directory. Linux alone tells.
 */
async function readCpu(dataDirectory: string): Promise<ReadonlyMap<string, number>> {
  const all = await Promise.all((await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(readProcess));
  const found = all.filter(entry => entry !== undefined);
  const servers = found.filter(({ folder }) => folder.startsWith(dataDirectory));
  const ours = new Set([process.pid, ...servers.map(({ pid }) => pid)]);
  // Ends: each turn adds a process.
  for (let size = 0; size < ours.size; ) {
    size = ours.size;
    for (const { pid, parent } of found) if (ours.has(parent)) ours.add(pid);
  }
  const sums = new Map<string, number>();
  for (const { pid, us, part } of found) if (ours.has(pid)) sums.set(part, (sums.get(part) ?? 0) + us);
  return sums;
}

async function readProcess(name: string) {
  try {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8');
    const argv = await readFile(`/proc/${name}/cmdline`, 'utf8');
    const folder = await readlink(`/proc/${name}/cwd`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const us = ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_S) * 1e6;
    return { pid: Number(name), parent: Number(fields[1]), us, folder, part: partOf(argv, Number(name)) };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function partOf(argv: string, pid: number): string {
  if (pid === process.pid) return 'this process';
  if (argv.includes('kafka.Kafka')) return 'the broker';
  if (argv.includes('redis-server')) return 'Redis';
  if (argv.includes('postgres')) return 'PostgreSQL';
  return (
    argv
      .split('\0')
      .find(word => /worker\.ts$/.test(word))
      ?.replace(/^.*\//, '') ?? 'others'
  );
}
