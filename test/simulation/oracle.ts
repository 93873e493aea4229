import assert from 'node:assert/strict';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { openMemoryLog } from '../../src/adapters/log/memory-log.ts';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import type { Config } from '../../src/config/options.ts';
import { didOf, isObject, type Json, type JsonObject, valueAt } from '../../src/core/event.ts';
import { HEADER, provenanceOf } from '../../src/core/headers.ts';
import type { Job } from '../../src/core/job.ts';
import type { Cache, Log, LogState, TopicSpec } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import type { TableRow } from '../../src/core/relations.ts';
import { bareTopic, fullTopic, TOPICS, topicKind } from '../../src/core/topics.ts';
import { conservationRows, edgeRows } from '../../src/observability/conservation.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { parseObjectName } from '../../src/runtime/archive/object-name.ts';
import { dateOf } from '../../src/runtime/archive/open-range.ts';
import { startRunner } from '../../src/runtime/runner.ts';
import { archivedTopics, type Layout, planLayout } from '../../src/runtime/segments.ts';
import { TABLE_TOPICS, tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import type { Body, Sent } from './clients.ts';

/** Everything that a run left behind. */
export interface Remains {
  readonly environment: string;
  readonly config: Config;
  readonly topics: readonly TopicSpec[];
  readonly jobs: readonly Job[];
  readonly layout: Layout;
  readonly cache: Pick<Cache, 'get'>;
  readonly log: Log;
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly rows: ReadonlyMap<string, TableRow>;
  readonly sent: Sent;
  /** True where the clock stayed within the time to live of every mark. */
  readonly isWithinTtl: boolean;
}

const OUTPUTS = Object.keys(TOPICS).filter(name => topicKind(name) === 'output');
const GOOD = ['druid.events.telemetry', 'druid.events.log', 'druid.events.error', 'druid.events.summary'];
const RECORDS_MAX = 1_000_000;

/** Holds what a run left behind against everything that is promised; throws on the first breach. */
export async function assertDelivered(remains: Remains): Promise<{ readonly duplicates: number }> {
  const duplicates = await assertEndings(remains);
  await assertAsWithoutFaults(remains);
  await assertOrder(remains);
  await assertLaws(remains);
  await assertArchive(remains);
  await assertTables(remains);
  return { duplicates };
}

/** Each time an event came in, it ended once; what was acknowledged came in. Answers how many were duplicates. */
async function assertEndings(remains: Remains): Promise<number> {
  const arrivals = countMids(await values(remains, 'telemetry.ingest'));
  const good = countMids(await valuesOf(remains, GOOD));
  const failed = countMids(await valuesOf(remains, ['telemetry.failed']));
  const dropped = countMids(await valuesOf(remains, ['telemetry.dropped']));
  const repeated = countMids(
    await valuesOf(remains, ['telemetry.duplicate', 'telemetry.extractor.duplicate']),
  );
  for (const body of remains.sent.acknowledged) {
    for (const mid of midsOf(body))
      assert.ok((arrivals.get(mid) ?? 0) > 0, `${mid} was acknowledged and is gone`);
  }
  let duplicates = 0;
  for (const [mid, ending] of remains.sent.endings) {
    const count = (counts: ReadonlyMap<string, number>) => counts.get(mid) ?? 0;
    const ends = {
      good: count(good),
      failed: count(failed),
      dropped: count(dropped),
      repeated: count(repeated),
    };
    const sum = ends.good + ends.failed + ends.dropped + ends.repeated;
    const what = `${mid} (${ending}) came ${count(arrivals)} times: ${JSON.stringify(ends)}`;
    assert.equal(sum, count(arrivals), what);
    const own = ending === 'failed' ? ends.failed : ending === 'dropped' ? ends.dropped : ends.good;
    assert.equal(sum, own + ends.repeated, what);
    if (sum > 0) assert.ok(own > 0, what);
    if (sum > 0 && ending === 'good' && remains.isWithinTtl) assert.equal(own, 1, what);
    duplicates += ends.repeated;
  }
  return duplicates;
}

/** The outputs are those of a run of the same inputs in which nothing failed: record for record, byte for byte. */
async function assertAsWithoutFaults(remains: Remains): Promise<void> {
  const { environment, config, jobs, log } = remains;
  const clean = openMemoryLog(remains.topics);
  for (const { topic, partitions } of remains.topics) {
    if (topicKind(bareTopic(environment, topic)) !== 'input') continue;
    for (let partition = 0; partition < partitions; partition++) {
      const records = await log.read(topic, partition, 0, RECORDS_MAX);
      await clean.commit({ appends: [{ topic, partition, records }] });
    }
  }
  const layout = planLayout(jobs, [], 'edges');
  const state = createMemoryState(config['dedup.ttlMs']);
  for (const segment of layout.segments) {
    const runner = await startRunner({
      segment,
      isStored: layout.isStored,
      environment,
      log: clean,
      state,
      cache: remains.cache,
      ttlMs: config['dedup.ttlMs'],
      limits: { recordsMax: 100, bytesMax: 1_000_000 },
      logger: createLogger('silent', 'oracle'),
      endsCaughtUp: true,
    });
    await runner.done;
  }
  for (const name of OUTPUTS) {
    const [actual, expected] = [
      await records(remains, name),
      await records({ ...remains, log: clean }, name),
    ];
    assertSame(name, actual.map(textOf), expected.map(textOf));
  }
  const isOfJobs = ([name]: [string, number]) => !name.startsWith('archive.');
  const countersOf = (state: LogState) => Object.fromEntries(Object.entries(state.counters).filter(isOfJobs));
  assert.deepEqual(countersOf(await log.describe()), countersOf(await clean.describe()));
}

/** Asserts that two lists hold the same texts, in any order; names the first that only one of them holds. */
function assertSame(name: string, actual: readonly string[], expected: readonly string[]): void {
  const [a, b] = [[...actual].sort(), [...expected].sort()];
  const at = a.findIndex((text, i) => text !== b[i]);
  const first = at === -1 ? b[a.length] : `${a[at]}\nwhere without faults there is\n${b[at]}`;
  assert.ok(
    at === -1 && a.length === b.length,
    `${name} (${a.length}, ${b.length} without faults): ${first}`,
  );
}

/**
 * On every partition of an output, what one job wrote of one kind of event of one device stands in the order of
 * its source. Kinds of events may take different topics between segments, which are read side by side.
 */
async function assertOrder(remains: Remains): Promise<void> {
  for (const name of OUTPUTS) {
    const last = new Map<string, readonly [number, number]>();
    for (const record of await records(remains, name)) {
      const { source, job } = provenanceOf(record.headers);
      assert.ok(source !== undefined, `${name} says where its records come from`);
      const event = objectOf(record);
      const key = `${record.partition} ${job} ${source.topic} ${source.partition} ${didOf(event)} ${event['eid']}`;
      const [offset, index] = last.get(key) ?? [-1, -1];
      const isAfter = source.offset > offset || (source.offset === offset && source.index >= index);
      assert.ok(isAfter, `${name} ${key}: ${source.offset}.${source.index} after ${offset}.${index}`);
      last.set(key, [source.offset, source.index]);
    }
  }
}

async function assertLaws({ environment, jobs, layout, log }: Remains): Promise<void> {
  const groups = layout.segments.map(({ group, inputs }) => ({ group, topics: inputs }));
  const ledger = { environment, jobs, groups, state: await log.describe(), isStored: layout.isStored };
  for (const row of conservationRows(ledger)) assert.ok(row.balanced, JSON.stringify(row));
  for (const row of edgeRows(ledger)) assert.ok(row.balanced && row.waiting === 0, JSON.stringify(row));
}

interface ArchivedRange {
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly lines: string[];
  readonly parts: Set<number>;
  readonly partCount: number;
}

/** The objects hold each record of each partition once, under its date, in ranges that follow one another. */
async function assertArchive(remains: Remains): Promise<void> {
  const ranges = archivedRanges(remains.objects);
  const state = await remains.log.describe();
  const isCurrent = (topic: string) =>
    archivedTopics(remains.layout).includes(bareTopic(remains.environment, topic));
  for (const { topic, partitions } of state.topics) {
    for (const { partition, endOffset } of partitions) {
      const dataset = bareTopic(remains.environment, topic);
      const found = [...(ranges.get(`${dataset}:${partition}`) ?? [])].sort(
        (a, b) => a.fromOffset - b.fromOffset,
      );
      let next = 0;
      for (const range of found) {
        const name = `${dataset}:${partition} ${range.fromOffset}-${range.toOffset}`;
        assert.equal(range.fromOffset, next, `${name} follows the range before it`);
        assert.equal(range.parts.size, range.partCount, `${name} has all its parts`);
        const held = await remains.log.read(topic, partition, next, range.toOffset - next);
        assertSame(name, range.lines, held.map(lineOf));
        next = range.toOffset;
      }
      if (isCurrent(topic)) assert.equal(next, endOffset, `${dataset}:${partition} is archived to its end`);
    }
  }
}

function archivedRanges(
  objects: ReadonlyMap<string, Uint8Array>,
): ReadonlyMap<string, readonly ArchivedRange[]> {
  const ranges = new Map<string, Map<number, ArchivedRange>>();
  for (const [name, bytes] of objects) {
    const parsed = parseObjectName(name);
    assert.ok(parsed !== undefined, name);
    const { dataset, partition, fromOffset, toOffset, part, parts, codec, date } = parsed;
    const text = (codec === 'gzip' ? gunzipSync(bytes) : zstdDecompressSync(bytes)).toString('utf8');
    const byStart = ranges.get(`${dataset}:${partition}`) ?? new Map<number, ArchivedRange>();
    ranges.set(`${dataset}:${partition}`, byStart);
    const empty = { fromOffset, toOffset, lines: [], parts: new Set<number>(), partCount: parts };
    const range = byStart.get(fromOffset) ?? empty;
    assert.equal(range.toOffset, toOffset, `${name} overlaps another range`);
    byStart.set(fromOffset, range);
    range.parts.add(part);
    range.lines.push(
      ...text
        .split('\n')
        .slice(0, -1)
        .map(line => `${date} ${line}`),
    );
  }
  return new Map([...ranges].map(([key, byStart]) => [key, [...byStart.values()]]));
}

function lineOf(record: LogRecord): string {
  const text = Buffer.from(record.value).toString('utf8');
  const line = record.headers[HEADER.malformed] === undefined ? text : JSON.stringify(text);
  return `${dateOf(record.timeMs)} ${line}`;
}

async function assertTables(remains: Remains): Promise<void> {
  const stored = new Set([...remains.rows.values()].map(row => JSON.stringify(row)));
  let count = 0;
  for (const name of Object.keys(TABLE_TOPICS)) {
    for (const record of await records(remains, name)) {
      for (const row of tableRowsOf(record, remains.environment)) {
        count += 1;
        const place = `${record.topic}:${record.partition}:${record.offset}`;
        assert.ok(stored.has(JSON.stringify(row)), `the tables lack ${place}`);
      }
    }
  }
  assert.equal(remains.rows.size, count, 'the tables hold nothing else');
}

/** How often each mid stands in records that hold an event, or a batch of them. */
function countMids(records: readonly JsonObject[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const record of records) {
    const events: readonly Json[] = Array.isArray(record['events']) ? record['events'] : [record];
    for (const event of events) {
      const mid = isObject(event) ? event['mid'] : undefined;
      if (typeof mid === 'string') counts.set(mid, (counts.get(mid) ?? 0) + 1);
    }
  }
  return counts;
}

function midsOf(body: Body): readonly string[] {
  return [...countMids([JSON.parse(body.bytes.toString('utf8')) as JsonObject]).keys()];
}

async function valuesOf(remains: Remains, names: readonly string[]): Promise<readonly JsonObject[]> {
  return (await Promise.all(names.map(name => values(remains, name)))).flat();
}

async function values(remains: Remains, name: string): Promise<readonly JsonObject[]> {
  return (await records(remains, name)).map(objectOf);
}

function objectOf(record: LogRecord): JsonObject {
  if (record.headers[HEADER.malformed] !== undefined) return {};
  const value: unknown = JSON.parse(Buffer.from(record.value).toString('utf8'));
  assert.ok(isObject(value), 'records of the pipeline are objects');
  return valueAt(value, 'events') === undefined ? value : { events: value['events'] };
}

/** All records of a topic, partition by partition. */
async function records(
  remains: Pick<Remains, 'environment' | 'log'>,
  name: string,
): Promise<readonly LogRecord[]> {
  const topic = fullTopic(remains.environment, name);
  const all: LogRecord[] = [];
  for (let partition = 0; partition < remains.log.partitionCount(topic); partition++) {
    all.push(...(await remains.log.read(topic, partition, 0, RECORDS_MAX)));
  }
  return all;
}

function textOf({ partition, key, timeMs, headers, value }: LogRecord): string {
  return JSON.stringify([partition, key, timeMs, headers, Buffer.from(value).toString('latin1')]);
}
