import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ArchiveDocument,
  ArchiveStatusDocument,
  PulseDocument,
  QueryDocument,
  StatusDocument,
  TopicsDocument,
} from '../src/core/documents.ts';
import { bareTopic } from '../src/core/topics.ts';
import { TABLE_TOPICS } from '../src/runtime/tables/table-rows.ts';
import { Millrace } from '../test/e2e/millrace.ts';
import { BENCH_SETS, benchBatch, masterRows } from './corpus.ts';
import { type Figure, medianOf } from './figure.ts';
import type { BenchOptions } from './options.ts';
import type { SoakOrder, SoakReport } from './soak-generator.ts';

/** Minutes of load. */
export const isLong = true;

/** The rate at which the goal of accept to queryable is stated. */
const EVENTS_PER_SECOND = 5_000;
const MINUTES = 20;
/**
 * Load before memory is judged: the archive keeps what is rare open for five minutes, so until then there is more of
 * it by the minute.
 */
const WARM_UP_MINUTES = 6;
const SAMPLE_EVERY_MS = 10_000;
const PROBE_EVERY_MS = 500;
const PROBE_POLL_MS = 20;
const PROBE_MS_MAX = 120_000;
/** Numbers of events, and so ids of batches, that the load does not come to. */
const PROBES_FROM = 1_000_000_000_000;
const DRAIN_MS_MAX = 600_000;
/**
 * Marks live two minutes rather than an hour, so that there are as many of them in the first third as in the last:
 * until the first are forgotten their tables grow with the events, which is no leak.
 */
const SETS: readonly string[] = [...BENCH_SETS, 'dedup.ttlMs=120000'];
/** Where each event ends in one row; the other relations hold copies. */
const ENDS: readonly string[] = ['events', 'failed', 'duplicates', 'dropped'];

interface Sample {
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
}

/**
 * The server as operators start it, in a process of its own, under a fixed rate from another one, tables and archive
 * on: whether its memory stays where it was, how long an accepted event takes until it is found, and that at the end
 * what was accepted is archived and in the tables, each event once.
 */
export async function run(options: BenchOptions): Promise<readonly Figure[]> {
  const { rate = EVENTS_PER_SECOND, minutes = MINUTES } = options;
  const millrace = await Millrace.create(SETS);
  let generator: ChildProcess | undefined;
  try {
    await millrace.up();
    for (const { dataset, key, value } of masterRows()) await putMasterRow(millrace, dataset, { key, value });
    generator = startGenerator({ url: `${await millrace.url()}/v1/telemetry`, eventsPerSecond: rate });
    const startedMs = performance.now();
    const warmMs = startedMs + WARM_UP_MINUTES * 60_000;
    const untilMs = warmMs + minutes * 60_000;
    const [samples, latenciesMs] = await Promise.all([
      sampleMemory(millrace, generator, { warmMs, untilMs }),
      probeLatency(millrace, untilMs),
    ]);
    const report = await stopGenerator(generator);
    const seconds = (performance.now() - startedMs) / 1000;
    await drain(millrace);
    await assertConserved(millrace, report.accepted + latenciesMs.length);
    return figuresOf({ report, seconds, samples, latenciesMs });
  } finally {
    generator?.kill();
    await millrace.remove();
  }
}

interface Outcome {
  readonly report: SoakReport;
  readonly seconds: number;
  /** After the warm-up. */
  readonly samples: readonly Sample[];
  readonly latenciesMs: readonly number[];
}

function figuresOf({ report, seconds, samples, latenciesMs }: Outcome): readonly Figure[] {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const first = typicalOf(samples.slice(0, third));
  const last = typicalOf(samples.slice(-third));
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return [
    { name: 'events accepted = archived = in the tables', value: report.accepted, unit: '' },
    { name: 'events accepted', value: report.accepted / seconds, unit: '/s' },
    { name: 'batches refused and sent again', value: report.refused, unit: '' },
    { name: 'answer to a batch, p50', value: report.acceptMsP50, unit: 'ms' },
    { name: 'answer to a batch, p99', value: report.acceptMsP99, unit: 'ms' },
    { name: `accepted to found, ${sorted.length} probes, p50`, value: at(0.5), unit: 'ms' },
    { name: 'accepted to found, p99', value: at(0.99), unit: 'ms', goal: { atMost: 2_000 } },
    { name: 'RSS after the warm-up, median of the first third', value: first.rssBytes, unit: 'bytes' },
    { name: 'RSS, median of the last third', value: last.rssBytes, unit: 'bytes' },
    { name: 'RSS, highest', value: Math.max(...samples.map(({ rssBytes }) => rssBytes)), unit: 'bytes' },
    {
      name: 'RSS, last third / first',
      value: last.rssBytes / first.rssBytes,
      unit: 'ratio',
      goal: { atMost: 1.05 },
    },
    {
      name: 'heap in use of the main thread, last third / first',
      value: last.heapUsedBytes / first.heapUsedBytes,
      unit: 'ratio',
    },
  ];
}

function typicalOf(samples: readonly Sample[]): Sample {
  return {
    rssBytes: medianOf(samples.map(({ rssBytes }) => rssBytes)),
    heapUsedBytes: medianOf(samples.map(({ heapUsedBytes }) => heapUsedBytes)),
  };
}

async function sampleMemory(
  millrace: Millrace,
  generator: ChildProcess,
  { warmMs, untilMs }: { readonly warmMs: number; readonly untilMs: number },
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const startedMs = performance.now();
  while (performance.now() < untilMs) {
    await sleep(Math.min(SAMPLE_EVERY_MS, Math.max(0, untilMs - performance.now())));
    const { memory, status } = await pulse(millrace);
    if (performance.now() > warmMs) samples.push(memory);
    const { accepted } = await reportOf(generator);
    const waiting = status.edges.reduce((sum, edge) => sum + edge.waiting, 0);
    const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    process.stdout.write(
      `  ${seconds} s: RSS ${mb(memory.rssBytes)}, heap of the main thread ${mb(memory.heapUsedBytes)}, ` +
        `${accepted} events accepted, ${waiting} records wait\n`,
    );
  }
  return samples;
}

/** Events of their own among the load: ms from the answer to one until a look-up finds it. */
async function probeLatency(millrace: Millrace, untilMs: number): Promise<readonly number[]> {
  const latenciesMs: number[] = [];
  for (let n = 0; performance.now() < untilMs; n++) {
    const first = PROBES_FROM + n * 100;
    const body = benchBatch(first, 1).toString();
    const headers = { 'content-type': 'application/json' };
    // Refused as any other: it is sent again.
    while ((await millrace.fetch('/v1/telemetry', { method: 'POST', headers, body })).status !== 200) {
      await sleep(PROBE_POLL_MS);
    }
    const acceptedMs = performance.now();
    for (;;) {
      const answer = await millrace.fetch(`/v1/trace/bench-${first}`);
      if (answer.status === 200) break;
      if (performance.now() - acceptedMs > PROBE_MS_MAX) {
        const { topics } = await get<TopicsDocument>(millrace, '/v1/topics');
        const behind = topics.flatMap(({ topic, groups }) =>
          groups.map(({ group, lag }) => [topic, group, lag]),
        );
        throw new Error(
          `bench-${first} was not found: ${answer.status} ${await answer.text()}; behind: ${JSON.stringify(behind)}`,
        );
      }
      await answer.arrayBuffer();
      await sleep(PROBE_POLL_MS);
    }
    latenciesMs.push(performance.now() - acceptedMs);
    await sleep(PROBE_EVERY_MS);
  }
  return latenciesMs;
}

async function drain(millrace: Millrace): Promise<void> {
  const deadlineMs = performance.now() + DRAIN_MS_MAX;
  while (!(await get<StatusDocument>(millrace, '/v1/status')).idle) {
    if (performance.now() > deadlineMs) throw new Error('the server is not idle after the load');
    await sleep(100);
  }
}

/**
 * Each accepted event, and each that jobs made, ended in one row; each stored record is in one object of the archive,
 * and each of a topic that fills tables is one row. No batch of the load comes twice, which would be a row an event.
 */
async function assertConserved(millrace: Millrace, accepted: number): Promise<void> {
  const { topics: archived } = await get<ArchiveStatusDocument>(millrace, '/v1/archive/flush', 'POST');
  const { objects } = await get<ArchiveDocument>(millrace, '/v1/archive/objects');
  const { topics } = await get<TopicsDocument>(millrace, '/v1/topics');
  for (const { topic, archivedTo, endOffset } of archived) {
    const inObjects = objects.filter(one => one.topic === topic).reduce((sum, one) => sum + one.records, 0);
    const records = topics.find(one => one.topic === topic)?.records;
    if (archivedTo !== endOffset || inObjects !== records) {
      throw new Error(`${topic}: ${inObjects} of ${records} archived, to ${archivedTo} of ${endOffset}`);
    }
  }
  const { conservation, counters } = await get<StatusDocument>(millrace, '/v1/status');
  const derived = conservation.reduce((sum, row) => sum + row.derived, 0);
  let ended = 0;
  for (const { topic, records } of topics) {
    const relation = relationOf(topic);
    if (relation === undefined) continue;
    const rows = await countRows(millrace, relation, topic);
    if (rows !== records) throw new Error(`${topic}: ${rows} rows of ${records} records`);
    if (ENDS.includes(relation)) ended += rows;
  }
  const received = counters['extract.received'];
  if (received !== accepted || ended !== accepted + derived) {
    throw new Error(`accepted ${accepted}, received ${received}, derived ${derived}, ended ${ended}`);
  }
}

function relationOf(topic: string): string | undefined {
  return (TABLE_TOPICS as Readonly<Record<string, string>>)[bareTopic('local', topic)];
}

async function countRows(millrace: Millrace, relation: string, topic: string): Promise<number> {
  const body = JSON.stringify({ sql: `SELECT count(*) AS count FROM ${relation} WHERE topic = '${topic}'` });
  const headers = { 'content-type': 'application/json' };
  const response = await millrace.fetch('/v1/query', { method: 'POST', headers, body });
  if (response.status !== 200) throw new Error(`${relation}: ${await response.text()}`);
  const { rows } = (await response.json()) as QueryDocument;
  return Number(rows[0]?.['count']);
}

async function get<T>(millrace: Millrace, path: string, method = 'GET'): Promise<T> {
  const response = await millrace.fetch(path, { method });
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** The next beat of the stream. */
async function pulse(millrace: Millrace): Promise<PulseDocument> {
  const response = await millrace.fetch('/v1/stream');
  const decoder = new TextDecoder();
  let text = '';
  // Ends with the first beat, which ends the request too, or with the stream.
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    const beat = /^data: (.*)\n\n/m.exec(text)?.[1];
    if (beat !== undefined) return JSON.parse(beat) as PulseDocument;
  }
  throw new Error(`the stream ended: ${text}`);
}

async function putMasterRow(millrace: Millrace, dataset: string, row: object): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const body = `${JSON.stringify(row)}\n`;
  const response = await millrace.fetch(`/v1/cache/${dataset}`, { method: 'POST', headers, body });
  if (response.status !== 200) throw new Error(`master data: ${await response.text()}`);
}

function startGenerator(order: SoakOrder): ChildProcess {
  return fork(join(import.meta.dirname, 'soak-generator.ts'), [JSON.stringify(order)]);
}

async function reportOf(generator: ChildProcess): Promise<SoakReport> {
  generator.send('report');
  const [report] = (await once(generator, 'message')) as [SoakReport];
  return report;
}

async function stopGenerator(generator: ChildProcess): Promise<SoakReport> {
  generator.send('stop');
  const [[report]] = (await Promise.all([once(generator, 'message'), once(generator, 'exit')])) as [
    [SoakReport],
    unknown,
  ];
  return report;
}
