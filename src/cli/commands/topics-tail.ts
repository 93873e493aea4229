import { setTimeout as sleep } from 'node:timers/promises';
import type { TopicDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject } from '../../core/event.ts';
import type { Call } from '../call.ts';
import { ask, askDocument, findServer, type Server } from '../http-client.ts';

/** A record as the server tells it: its JSON line and where it lies. */
interface TailLine {
  readonly text: string;
  readonly partition: number;
  readonly offset: number;
  readonly timeMs: number;
}

/** The part of a partition still to be shown; `toOffset` exclusive. */
interface Span {
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
}

const PAGE_RECORDS = 500;
const COUNT_MAX = 1_000_000;
// The last N of several partitions must be held to be put in order of time.
const HELD_RECORDS_MAX = 20_000;
const POLL_MS_MIN = 100;
const POLL_MS_MAX = 1000;

/**
 * `topics tail TOPIC`: JSON lines, with --json or without. What is there at the call, by partition and
 * offset (the last N of several partitions: by time); with --follow then what comes, until --count is
 * reached or Ctrl-C.
 */
export async function tailTopic(call: Call): Promise<undefined> {
  const count = call.integer('count', 0, COUNT_MAX) ?? Number.POSITIVE_INFINITY;
  const server = findServer(call.settings);
  const topic = await findTopic(server, call.arg(0));
  const spans = spansOf(topic, call.integer('partition', 0, 255));
  if (!topic.stored) call.output.note(`${topic.topic} is not stored, only counted; see topics.store`);
  const fromStart = call.flag('fromStart') || count === Number.POSITIVE_INFINITY;
  const present = fromStart ? first(server, topic.topic, spans) : last(server, topic.topic, spans, count);
  const following = call.flag('follow') ? follow(server, topic.topic, spans) : [];
  let left = count;
  for (const lines of [present, following]) {
    if (left <= 0) return;
    for await (const line of lines) {
      await call.output.write(`${line.text}\n`);
      if (--left <= 0) return;
    }
  }
}

function findTopic(server: Server, name: string): Promise<TopicDocument> {
  return askDocument<TopicDocument>(server, { path: `/v1/topics/${encodeURIComponent(name)}` });
}

function spansOf(topic: TopicDocument, only: number | undefined): readonly Span[] {
  const rows = topic.partitions.filter(row => only === undefined || row.partition === only);
  if (only !== undefined && rows.length === 0) {
    throw new MillraceError('ERR_USAGE', `${topic.topic} has no partition ${only}`, {
      remedy: `millrace topics describe ${topic.topic} shows its partitions.`,
    });
  }
  if (!topic.stored) return [];
  return rows.map(row => ({
    partition: row.partition,
    fromOffset: row.startOffset,
    toOffset: row.endOffset,
  }));
}

async function* first(server: Server, topic: string, spans: readonly Span[]): AsyncGenerator<TailLine> {
  for (const span of spans) yield* readSpan(server, topic, span);
}

async function* last(
  server: Server,
  topic: string,
  spans: readonly Span[],
  count: number,
): AsyncGenerator<TailLine> {
  const ends = spans.map(span => ({ ...span, fromOffset: Math.max(span.fromOffset, span.toOffset - count) }));
  const [only] = ends;
  if (ends.length === 1 && only !== undefined) {
    yield* readSpan(server, topic, only);
    return;
  }
  if (count * ends.length > HELD_RECORDS_MAX) {
    const why = `the last ${count} records of ${ends.length} partitions are more than can be put in order of time`;
    throw new MillraceError('ERR_USAGE', why, {
      remedy: 'Lower --count, or add --partition or --from-start.',
    });
  }
  const held: TailLine[] = [];
  for (const span of ends) for await (const line of readSpan(server, topic, span)) held.push(line);
  held.sort((a, b) => a.timeMs - b.timeMs || a.partition - b.partition || a.offset - b.offset);
  if (count > 0) yield* held.slice(-count);
}

/** Polls the partitions in turn, less often while nothing comes. Ends only when the caller stops asking. */
async function* follow(server: Server, topic: string, spans: readonly Span[]): AsyncGenerator<TailLine> {
  const nextOffsets = new Map(spans.map(span => [span.partition, span.toOffset]));
  let waitMs = POLL_MS_MIN;
  for (;;) {
    let found = false;
    for (const [partition, fromOffset] of nextOffsets) {
      for (const line of await readPage(server, topic, { partition, fromOffset, recordsMax: PAGE_RECORDS })) {
        found = true;
        nextOffsets.set(partition, line.offset + 1);
        yield line;
      }
    }
    waitMs = found ? POLL_MS_MIN : Math.min(2 * waitMs, POLL_MS_MAX);
    await sleep(waitMs);
  }
}

/** Every record of the span; offsets that can no longer be read are passed over. */
async function* readSpan(server: Server, topic: string, span: Span): AsyncGenerator<TailLine> {
  let { fromOffset } = span;
  while (fromOffset < span.toOffset) {
    const recordsMax = Math.min(PAGE_RECORDS, span.toOffset - fromOffset);
    const page = await readPage(server, topic, { partition: span.partition, fromOffset, recordsMax });
    if (page.length === 0) return;
    for (const line of page) {
      if (line.offset >= span.toOffset) return;
      yield line;
      fromOffset = line.offset + 1;
    }
  }
}

async function readPage(
  server: Server,
  topic: string,
  page: { readonly partition: number; readonly fromOffset: number; readonly recordsMax: number },
): Promise<readonly TailLine[]> {
  const { partition, fromOffset, recordsMax } = page;
  const response = await ask(server, {
    path: `/v1/topics/${encodeURIComponent(topic)}/records`,
    query: { partition, fromOffset, limit: recordsMax },
  });
  const lines = (await response.text()).split('\n').filter(text => text !== '');
  return lines.map(parseLine);
}

function parseLine(text: string): TailLine {
  const record: unknown = JSON.parse(text);
  if (!isObject(record)) throw new MillraceError('ERR_NOT_SERVING', `the server sent "${text.slice(0, 80)}"`);
  return {
    text,
    partition: Number(record['partition']),
    offset: Number(record['offset']),
    timeMs: Number(record['timeMs']),
  };
}
