import type { Backend, ComponentDocument, StatusDocument, TailDocument } from '../core/documents.ts';
import { MillraceError } from '../core/errors.ts';
import { type Json, textAt } from '../core/event.ts';
import { HEADER } from '../core/headers.ts';
import { partitionOf } from '../core/partition.ts';
import type { TableReader } from '../core/ports.ts';
import type { LogRecord, NewRecord } from '../core/record.ts';
import type { SchemaDesk } from '../core/schema-documents.ts';
import { bareTopic, fullTopic, topicKind } from '../core/topics.ts';
import { conservationRows, edgeRows, topicDocuments } from '../observability/conservation.ts';
import { parseObject } from '../runtime/decode.ts';
import type { Pipeline } from './compose.ts';
import { jobDocuments } from './compose-jobs.ts';
import { openReadTables } from './compose-tables.ts';
import { type Stalls, watchStalls } from './stalls.ts';
import { componentDocuments, ledgerOf, workerDocuments } from './status.ts';
import { vitalsOf } from './vitals.ts';

/** What the answers are made from besides the pipeline. */
export interface BackendOptions {
  readonly environment: string;
  readonly version: string;
  /** By the monotonic clock, so that a jump of the other one makes no negative age. */
  readonly startedAtMs: number;
  readonly schemas: SchemaDesk;
  /** Servers on this machine that have crashed. */
  servers(): readonly ComponentDocument[];
  /** Sends made-up events to the served ingest API; resolves with how many were accepted. */
  sample(count: number): Promise<number>;
}

/** A backend over a running pipeline, with what must be closed before it. */
export interface RunningBackend extends Backend {
  close(): Promise<void>;
}

/** Answers the HTTP routes from a pipeline. The tables are read in this thread by index only; SQL runs apart. */
export async function createBackend(pipeline: Pipeline, options: BackendOptions): Promise<RunningBackend> {
  const { log, cache, jobs, sinks, config } = pipeline;
  const { environment } = options;
  const { reader, queries } = await openReadTables({ ...pipeline, environment });
  const stalls = watchStalls(pipeline, environment);
  return {
    status: () => statusOf(pipeline, options, { reader, stalls }),
    jobs: () => jobDocuments(jobs),
    schemas: options.schemas,
    topics: async () => ({ topics: topicDocuments(ledgerOf(pipeline, environment, await log.describe())) }),
    tail: (topic, range) => tail(pipeline, { topic, environment, ...range }),
    produce: (topic, lines) => produce(pipeline, { topic, environment, lines }),
    trace: mid => reader.trace(mid),
    failed: filter => reader.failed(filter),
    failedEvent: id => reader.failedEvent(id),
    query: sql => queries.run(sql),
    events: filter => reader.events(filter),
    event: id => reader.event(id),
    vitals: () => vitalsOf(pipeline, config, reader),
    sample: options.sample,
    cachePut: (dataset, rows) => cache.put(dataset, rows),
    cacheGet: async (dataset, key) => {
      const [row] = await cache.get([{ dataset, key }]);
      if (row === undefined) throw new MillraceError('ERR_NOT_FOUND', `${dataset} has no row "${key}"`);
      return row;
    },
    archiveStatus: () => sinks.calls.archiveStatus(),
    archiveFlush: () => sinks.calls.archiveFlush(),
    archiveVerify: () => sinks.calls.archiveVerify(),
    archiveObjects: () => sinks.calls.archiveObjects(),
    archiveRead: name => sinks.calls.archiveRead(name),
    async close() {
      stalls.close();
      await queries.close();
      await reader.close();
    },
  };
}

async function statusOf(
  pipeline: Pipeline,
  options: BackendOptions,
  { reader, stalls }: { readonly reader: TableReader; readonly stalls: Stalls },
): Promise<StatusDocument> {
  const state = await pipeline.log.describe();
  const ledger = ledgerOf(pipeline, options.environment, state);
  return {
    state: 'serving',
    version: options.version,
    environment: options.environment,
    uptimeMs: Math.round(performance.now() - options.startedAtMs),
    components: [
      ...(await componentDocuments(pipeline, state, reader)),
      ...stalls.look(ledger),
      ...options.servers(),
    ],
    conservation: conservationRows(ledger),
    edges: edgeRows(ledger),
    workers: await workerDocuments(pipeline),
    counters: state.counters,
    schemas: { digest: options.schemas.digest(), shippedDigest: options.schemas.shippedDigest() },
    quarantined: state.quarantined,
    idle: await pipeline.log.isIdle(),
  };
}

interface TailRange {
  readonly topic: string;
  readonly environment: string;
  readonly partition?: number;
  readonly fromOffset: number;
  readonly recordsMax: number;
}

async function tail({ log, layout }: Pipeline, range: TailRange): Promise<readonly TailDocument[]> {
  const name = bareTopic(range.environment, range.topic);
  if (topicKind(name) === undefined) throw unknownTopic(range.topic);
  if (!layout.isStored(name)) {
    throw new MillraceError(
      'ERR_TOPIC_UNKNOWN',
      `${name} lies between fused jobs and is counted, not stored`,
      {
        remedy: 'Store it from the next start on: --set topics.store=all',
      },
    );
  }
  const count = log.partitionCount(range.topic);
  const partitions =
    range.partition === undefined ? Array.from({ length: count }, (_, i) => i) : [range.partition];
  const documents: TailDocument[] = [];
  for (const partition of partitions) {
    if (partition >= count) throw unknownTopic(`${range.topic} partition ${partition}`);
    const left = range.recordsMax - documents.length;
    if (left <= 0) break;
    for (const record of await log.read(range.topic, partition, range.fromOffset, left))
      documents.push(tailOf(record));
  }
  return documents;
}

function tailOf({ topic, partition, offset, timeMs, key, value }: LogRecord): TailDocument {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  let parsed: Json;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = text;
  }
  return { topic, partition, offset, timeMs, key, value: parsed };
}

async function produce(
  { log }: Pipeline,
  { topic, environment, lines }: { topic: string; environment: string; lines: readonly Uint8Array[] },
): Promise<number> {
  const name = bareTopic(environment, topic);
  if (topicKind(name) === undefined) throw unknownTopic(topic);
  if (topicKind(name) !== 'input') {
    throw new MillraceError('ERR_REQUEST_INVALID', `${name} is written by jobs`, {
      remedy: 'Produce into telemetry.ingest or telemetry.derived.',
    });
  }
  const nowMs = Date.now();
  const byPartition = new Map<number, NewRecord[]>();
  for (const value of lines) {
    const record = producedRecord(value, nowMs);
    const partition = partitionOf(Buffer.from(record.key ?? ''), log.partitionCount(topic));
    const records = byPartition.get(partition) ?? [];
    records.push(record);
    byPartition.set(partition, records);
  }
  const appends = [...byPartition].map(([partition, records]) => ({
    topic: fullTopic(environment, name),
    partition,
    records,
  }));
  if (appends.length > 0) await log.commit({ appends });
  return lines.length;
}

/** An operator's line as it stands; keyed like a batch that came over HTTP, as far as it can be read. */
function producedRecord(value: Uint8Array, timeMs: number): NewRecord {
  const event = parseObject(value);
  if (event === undefined) return { key: null, timeMs, headers: { [HEADER.malformed]: '1' }, value };
  const key = textAt(event, 'did') ?? textAt(event, 'params', 'did') ?? textAt(event, 'mid') ?? null;
  return { key, timeMs, headers: {}, value };
}

function unknownTopic(topic: string): MillraceError {
  return new MillraceError('ERR_TOPIC_UNKNOWN', `there is no topic "${topic}"`);
}
