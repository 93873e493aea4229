import type { TopicDocument, TopicsDocument } from '../../core/documents.ts';
import type { Call } from '../call.ts';
import { formatBytes, formatCount, formatPairs, formatTable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';

/** `topics list`. */
export async function listTopics({ settings, output }: Call): Promise<undefined> {
  const document = await askDocument<TopicsDocument>(findServer(settings), { path: '/v1/topics' });
  output.document(document, () =>
    formatTable(
      [
        { title: 'TOPIC' },
        { title: 'RECORDS', align: 'right' },
        { title: 'SIZE', align: 'right' },
        { title: 'LAG OF ITS GROUPS' },
      ],
      document.topics.map(topic => [
        topic.topic,
        formatCount(topic.records),
        topic.stored ? formatBytes(topic.bytes) : 'not stored',
        topic.groups.map(({ group, lag }) => `${group} ${formatCount(lag)}`).join(', '),
      ]),
    ),
  );
}

/** `topics describe TOPIC`. */
export async function describeTopic(call: Call): Promise<undefined> {
  const path = `/v1/topics/${encodeURIComponent(call.arg(0))}`;
  const topic = await askDocument<TopicDocument>(findServer(call.settings), { path });
  call.output.document(topic, () => topicText(topic));
}

function topicText(topic: TopicDocument): string {
  const head = formatPairs([
    ['topic', topic.topic],
    ['records', formatCount(topic.records)],
    ['size', topic.stored ? formatBytes(topic.bytes) : 'not stored: only its records are counted'],
  ]);
  const partitions = formatTable(
    [
      { title: 'PARTITION', align: 'right' },
      { title: 'START OFFSET', align: 'right' },
      { title: 'END OFFSET', align: 'right' },
    ],
    topic.partitions.map(row => [row.partition, row.startOffset, row.endOffset].map(formatCount)),
  );
  const groups = formatTable(
    [{ title: 'GROUP' }, { title: 'LAG', align: 'right' }],
    topic.groups.map(row => [row.group, formatCount(row.lag)]),
    'No consumer group reads it.',
  );
  return [head, partitions, groups].join('\n');
}
