import type { PulseDocument, TailDocument, TopicDocument } from '../../query/contract.ts';
import { formatBytes, formatCount } from '../model/format.ts';
import { findTopic } from '../model/pipeline.ts';
import { Empty, PageHead, Panel, RefusalBox, Time } from '../parts/bits.tsx';
import { JsonView } from '../parts/json-view.tsx';
import { type Column, WindowedList } from '../parts/windowed-list.tsx';
import { apiPath, read, useAnswer } from '../state/api.ts';
import { place, setFilters } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';

const TAIL_RECORDS = 50;

/** One topic: what lies in it, who still has to read it, and its newest records. */
export function TopicPage({ name }: { readonly name: string }) {
  const now = pulse.value;
  const topic = now === null ? undefined : findTopic(now, name);
  if (now === null) return <PageHead title={name} />;
  if (topic === undefined) return <Empty title={`There is no topic ${name}`} />;
  return (
    <>
      <PageHead
        title={
          <>
            <a class="crumb" href="#/">
              Pipeline
            </a>
            {name}
          </>
        }
      />
      <div class="columns">
        <Panel
          title={`${formatCount(topic.records)} records`}
          aside={<span class="quiet">{formatBytes(topic.bytes)}</span>}
        >
          <Partitions topic={topic} />
        </Panel>
        <Panel title="Who reads it">
          <Groups topic={topic} />
        </Panel>
      </div>
      {topic.stored ? (
        <Records topic={topic} pulse={now} />
      ) : (
        <Empty title="It lies between fused jobs: counted, not stored" />
      )}
    </>
  );
}

function Partitions({ topic }: { readonly topic: TopicDocument }) {
  return (
    <table class="table">
      <thead>
        <tr>
          <th class="is-number">Partition</th>
          <th class="is-number">First offset</th>
          <th class="is-number">Next offset</th>
        </tr>
      </thead>
      <tbody>
        {topic.partitions.map(({ partition, startOffset, endOffset }) => (
          <tr key={partition}>
            <td class="is-number">{partition}</td>
            <td class="is-number">{formatCount(startOffset)}</td>
            <td class="is-number">{formatCount(endOffset)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Groups({ topic }: { readonly topic: TopicDocument }) {
  if (topic.groups.length === 0) return <p class="quiet">No consumer group.</p>;
  return (
    <table class="table">
      <thead>
        <tr>
          <th>Group</th>
          <th class="is-number">Records behind</th>
        </tr>
      </thead>
      <tbody>
        {topic.groups.map(({ group, lag }) => (
          <tr key={group}>
            <td>{group}</td>
            <td class="is-number">{formatCount(lag)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const COLUMNS: readonly Column<TailDocument>[] = [
  { title: 'Offset', track: '90px', isNumber: true, cell: row => formatCount(row.offset) },
  { title: 'Time', track: '140px', cell: row => <Time ms={row.timeMs} /> },
  {
    title: 'Key',
    track: 'minmax(100px, 0.6fr)',
    isWide: true,
    cell: row => <span class="mono">{row.key ?? '–'}</span>,
  },
  {
    title: 'Value',
    track: 'minmax(140px, 2fr)',
    cell: row => <span class="mono">{JSON.stringify(row.value).slice(0, 300)}</span>,
  },
];

function Records({ topic, pulse: now }: { readonly topic: TopicDocument; readonly pulse: PulseDocument }) {
  const { query } = place.value;
  const partition = topic.partitions.find(
    ({ partition: index }) => String(index) === (query['partition'] ?? '0'),
  );
  const fromOffset = Math.max(partition?.startOffset ?? 0, (partition?.endOffset ?? 0) - TAIL_RECORDS);
  const path = apiPath(`/v1/topics/${encodeURIComponent(topic.topic)}/records`, {
    partition: partition?.partition ?? 0,
    fromOffset,
    limit: TAIL_RECORDS,
  });
  const isEmpty = partition === undefined || partition.endOffset === partition.startOffset;
  const { answer } = useAnswer(isEmpty ? null : `${path} ${now.status.version}`, signal =>
    read<readonly TailDocument[]>(path, signal),
  );
  if (isEmpty) return <Empty title="No records" />;
  if (answer === undefined) return null;
  if ('refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  const newest = [...answer.value].reverse();
  const selected = newest.find(({ offset }) => String(offset) === query['offset']);
  return (
    <Panel title={`Newest ${newest.length} records`}>
      <div class={selected === undefined ? 'split' : 'split is-open'}>
        <WindowedList
          label="Records"
          columns={selected === undefined ? COLUMNS : COLUMNS.slice(0, 2)}
          rows={newest}
          keyOf={row => String(row.offset)}
          selectedKey={query['offset']}
          onOpen={row => setFilters({ offset: String(row.offset) })}
        />
        {selected === undefined ? null : (
          <div class="drawer">
            <JsonView value={selected.value} name={`${topic.topic}-${selected.offset}`} />
          </div>
        )}
      </div>
    </Panel>
  );
}
