import { Readable } from 'node:stream';
import type { TailDocument, TopicDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { bareTopic, fullTopic, topicKind } from '../../core/topics.ts';
import { linesOf } from './lines.ts';
import { type ApiContext, type ApiRoute, NDJSON } from './route.ts';

const MIB = 1024 * 1024;
/** Records asked for at once: each may be as large as a batch, so this bounds the memory of a reader. */
const PAGE_RECORDS = 32;
const TOPIC = { topic: 'Topic name, with or without the prefix of the environment.' };

/** Routes over topics and their records. */
export const TOPIC_ROUTES: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/v1/topics',
    summary: 'Lists the topics with record counts, sizes and the lag of each consumer group.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'Topics', description: 'Every topic.' },
    run: async ({ backend }) => ({ body: await backend.topics() }),
  },
  {
    method: 'GET',
    path: '/v1/topics/:topic',
    summary: 'Describes one topic.',
    access: 'operator',
    params: TOPIC,
    answer: { type: 'application/json', schema: 'Topic', description: 'The topic.' },
    run: async (context, { params }) => ({ body: await findTopic(context, params['topic']!) }),
  },
  {
    method: 'GET',
    path: '/v1/topics/:topic/records',
    summary: 'Reads the records that a topic holds at the call, partition by partition, in offset order.',
    access: 'operator',
    params: TOPIC,
    query: {
      partition: { type: 'integer', minimum: 0, description: 'Only this partition.' },
      fromOffset: {
        type: 'integer',
        minimum: 0,
        default: 0,
        description: 'First offset, in every partition read.',
      },
      limit: { type: 'integer', minimum: 1, description: 'Most records of the answer; else all there are.' },
    },
    answer: { type: NDJSON, schema: 'TailRecord', description: 'One record a line.' },
    run: async (context, { params, query }) => {
      const topic = await findTopic(context, params['topic']!);
      const limit = Number(query['limit'] ?? Number.POSITIVE_INFINITY);
      const records = readRecords(context, topic, {
        partition: query['partition'],
        fromOffset: Number(query['fromOffset']),
        limit,
      });
      return { type: NDJSON, body: Readable.from(records, { objectMode: true, highWaterMark: 1 }) };
    },
  },
  {
    method: 'POST',
    path: '/v1/topics/:topic/records',
    summary: 'Puts one record per line into an input topic; answers once they are durable.',
    access: 'operator',
    params: TOPIC,
    body: { type: NDJSON, schema: 'AnyLine', bytesMax: 64 * MIB },
    answer: { type: 'application/json', schema: 'Produced', description: 'How many records were put.' },
    run: async (context, { params, body }) => {
      const topic = inputTopic(context, params['topic']!);
      const lines = linesOf(body).map(line => line.bytes);
      return { body: { produced: lines.length === 0 ? 0 : await context.backend.produce(topic, lines) } };
    },
  },
];

async function findTopic({ backend, environment }: ApiContext, name: string): Promise<TopicDocument> {
  const topic = fullTopic(environment, bareTopic(environment, name));
  const { topics } = await backend.topics();
  const found = topics.find(candidate => candidate.topic === topic);
  if (found === undefined) throw new MillraceError('ERR_TOPIC_UNKNOWN', topic);
  return found;
}

function inputTopic({ environment }: ApiContext, name: string): string {
  const bare = bareTopic(environment, name);
  const kind = topicKind(bare);
  if (kind === undefined) throw new MillraceError('ERR_TOPIC_UNKNOWN', name);
  if (kind !== 'input')
    throw new MillraceError('ERR_REQUEST_INVALID', `${bare} is written by jobs, not from outside`);
  return fullTopic(environment, bare);
}

/** Texts of one or more lines each. Ends at the offsets that were the ends when the topic was described. */
async function* readRecords(
  { backend }: ApiContext,
  topic: TopicDocument,
  range: {
    readonly partition: string | number | undefined;
    readonly fromOffset: number;
    readonly limit: number;
  },
): AsyncGenerator<string> {
  let left = range.limit;
  for (const { partition, startOffset, endOffset } of topic.partitions) {
    if (range.partition !== undefined && range.partition !== partition) continue;
    let fromOffset = Math.max(range.fromOffset, startOffset);
    while (left > 0 && fromOffset < endOffset) {
      const page = await backend.tail(topic.topic, {
        partition,
        fromOffset,
        recordsMax: Math.min(left, PAGE_RECORDS),
      });
      const records = page.filter(record => record.offset < endOffset);
      if (records.length > 0) yield records.map(asLine).join('');
      left -= records.length;
      // A page without records: what is left was lost to damage or removed by retention meanwhile.
      fromOffset = page.length === 0 ? endOffset : page.at(-1)!.offset + 1;
    }
  }
}

function asLine(record: TailDocument): string {
  return `${JSON.stringify(record)}\n`;
}
