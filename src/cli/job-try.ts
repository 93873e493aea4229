import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/event.ts';
import { DATASETS, type Job, rowKeyOf } from '../core/job.ts';
import type { Cache } from '../core/ports.ts';
import type { LogRecord } from '../core/record.ts';
import { readPlanned, runRecords } from '../runtime/batch.ts';
import type { ChainOutput } from '../runtime/chain.ts';
import { jsonOf } from '../runtime/encode.ts';
import { composeJobs, composeTrialState } from './compose-jobs.ts';
import { groupLines, readLines } from './read-lines.ts';

/** One batch of the jobs. */
const BATCH_LIMIT = { linesMax: 200, bytesMax: 64 * 1024 * 1024 };

/** What `job try` takes. */
export interface TryOptions {
  /** Job names in the order they run, or the one name `chain`. */
  readonly names: readonly string[];
  /** A file of JSON lines; `-` reads standard input. */
  readonly input: string;
  /** Master data: dataset → file of `{"key", "value"}` lines. */
  readonly cacheFiles: Readonly<Record<string, string>>;
  /** Folder of the environment's own schemas, of which the published ones count; it need not exist. */
  readonly schemas: string;
  /** The time that counts as now, epoch ms. */
  readonly nowMs: number;
  readonly config: Config;
  readonly environment: string;
  /** Takes each line of the answer; waits where the reader is slow. */
  readonly print: (line: string) => void | Promise<void>;
}

/**
 * Runs jobs over a file with no environment touched: prints one JSON line per output, then the summary.
 * `received` counts input lines, `events` the events they held, `topics` the outputs by topic, and `between`
 * what passed from one of the jobs to the next.
 */
export async function tryJobs(options: TryOptions): Promise<void> {
  const jobs = chooseJobs(await composeJobs(options.config, options.schemas), options.names);
  const stores = {
    state: composeTrialState(options.config),
    cache: await loadCache(options.cacheFiles),
  };
  const totals = createTotals(jobs);
  const chain = {
    jobs,
    inputs: [],
    isStored: () => true,
    ttlMs: options.config['dedup.ttlMs'],
    read: readPlanned.bind(null, stores),
  };
  for await (const records of readRecords(options, jobs[0]!)) {
    const result = await runRecords(chain, options.environment, records);
    await stores.state.mark(result.marks);
    totals.add(records.length, result.counters, result.outputs);
    for (const output of result.outputs.toSorted(bySource)) {
      if (isPrinted(output)) await options.print(lineOf(output));
    }
  }
  await options.print(JSON.stringify({ summary: totals.summary() }));
}

/** By input line, then by the event's place in it; what one event became stays in the order of the jobs. */
function bySource(a: ChainOutput, b: ChainOutput): number {
  return a.source.offset - b.source.offset || a.source.index - b.source.index;
}

/** What goes on to a later job is no output; the events of a duplicate batch leave as one: the batch. */
function isPrinted(output: ChainOutput): boolean {
  return output.isLeaving && (output.topic !== null || output.code !== 'ERR_DUPLICATE');
}

function lineOf(output: ChainOutput): string {
  const { outcome, topic, key, code, pointer, reason } = output;
  const head = JSON.stringify({ line: output.source.offset + 1, outcome, topic, key, code, pointer, reason });
  return `${head.slice(0, -1)},"event":${jsonOf(output.event)}}`;
}

function chooseJobs(jobs: readonly Job[], names: readonly string[]): readonly Job[] {
  if (names.length === 1 && names[0] === 'chain') return jobs.filter(job => job.name !== 'summarise-route');
  return names.map(name => {
    const job = jobs.find(candidate => candidate.name === name);
    if (job !== undefined) return job;
    throw new MillraceError('ERR_JOB_UNKNOWN', `there is no job named "${name}"`, {
      remedy: `Name one of: ${jobs.map(known => known.name).join(', ')}, or chain.`,
    });
  });
}

async function* readRecords(options: TryOptions, first: Job): AsyncGenerator<readonly LogRecord[]> {
  const topic = `${options.environment}.${first.inputs[0]!}`;
  for await (const group of groupLines(readLines(options.input), BATCH_LIMIT)) {
    yield group.map(({ line, bytes: value }) => ({
      topic,
      partition: 0,
      offset: line - 1,
      key: null,
      timeMs: options.nowMs,
      headers: {},
      value,
    }));
  }
}

function createTotals(jobs: readonly Job[]) {
  const topics: Record<string, number> = {};
  const between: Record<string, number> = {};
  const counters: Record<string, number> = {};
  let [received, events, rejected, dropped, derived] = [0, 0, 0, 0, 0];
  const lawful = /\.(received|emitted|rejected|dropped|derived)$/;
  return {
    add(lines: number, deltas: Readonly<Record<string, number>>, outputs: readonly ChainOutput[]) {
      received += lines;
      // Counted by the first job: an event that a later one meets is the same, or derived.
      events += deltas[`${jobs[0]!.name}.received`] ?? 0;
      for (const [name, delta] of Object.entries(deltas)) {
        if (name.endsWith('.derived')) derived += delta;
        const isLeavingCount = name.startsWith('topic.') || name.startsWith('edge.') || lawful.test(name);
        if (name.startsWith('edge.')) add(between, name.slice(name.indexOf('.', 5) + 1), delta);
        if (!isLeavingCount) add(counters, name.slice(name.indexOf('.') + 1), delta);
      }
      for (const output of outputs) {
        if (!output.isLeaving) continue;
        if (output.topic !== null) add(topics, output.topic, 1);
        if (output.isDerived) continue;
        if (output.outcome === 'reject') rejected += 1;
        if (output.outcome === 'drop') dropped += 1;
      }
    },
    summary() {
      const emitted = events - rejected - dropped;
      return { received, events, emitted, rejected, dropped, derived, topics, between, counters };
    },
  };
}

function add(counts: Record<string, number>, name: string, delta: number): void {
  counts[name] = (counts[name] ?? 0) + delta;
}

async function loadCache(files: Readonly<Record<string, string>>): Promise<Pick<Cache, 'get'>> {
  const rows = new Map<string, JsonObject>();
  for (const [name, path] of Object.entries(files)) {
    const dataset = DATASETS.find(known => known === name);
    if (dataset === undefined) {
      throw new MillraceError('ERR_USAGE', `there is no dataset named "${name}"`, {
        remedy: `Name one of: ${DATASETS.join(', ')}.`,
      });
    }
    for await (const { line, bytes } of readLines(path)) {
      const { key, value } = parseRow(bytes, `${path}:${line}`);
      rows.set(`${dataset}\0${rowKeyOf(dataset, key)}`, value);
    }
  }
  return { get: async keys => keys.map(({ dataset, key }) => rows.get(`${dataset}\0${key}`)) };
}

function parseRow(bytes: Buffer, place: string): { key: string; value: JsonObject } {
  let row: unknown;
  try {
    row = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new MillraceError('ERR_FILE_UNREADABLE', `${place} is not JSON`, { cause: error });
  }
  if (isObject(row) && typeof row['key'] === 'string' && isObject(row['value'])) {
    return { key: row['key'], value: row['value'] };
  }
  throw new MillraceError('ERR_FILE_UNREADABLE', `${place} is not {"key": "…", "value": {…}}`);
}
