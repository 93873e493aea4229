import { useMemo } from 'preact/hooks';
import type { JobDocument, PulseDocument } from '../../query/contract.ts';
import { formatCount, formatRate } from '../model/format.ts';
import { dropReasons, findTopic } from '../model/pipeline.ts';
import { Empty, PageHead, Panel, RefusalBox, Tag } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { read, useAnswer } from '../state/api.ts';
import { linkTo } from '../state/place.ts';
import { beats, pulse, rateOf, ratesOf } from '../state/pulse.ts';

/** One job: what it does, what it received and what became of it, its topics and its counters. */
export function JobPage({ name }: { readonly name: string }) {
  const { answer } = useAnswer('jobs', signal =>
    read<{ readonly jobs: readonly JobDocument[] }>('/v1/jobs', signal),
  );
  const now = pulse.value;
  if (answer !== undefined && 'refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  if (answer === undefined || now === null) return <PageHead title={name} />;
  const job = answer.value.jobs.find(candidate => candidate.job === name);
  const row = now.status.conservation.find(candidate => candidate.job === name);
  if (job === undefined || row === undefined) return <Empty title={`There is no job ${name}`} />;
  return (
    <>
      <PageHead title={<Crumb name={name} />} />
      <p class="lead">{job.does}</p>
      <dl class="tiles">
        <Tile name="Now" value={`${formatRate(rateOf(beats.value, beat => beat.received[name] ?? 0))}/s`} />
        <Tile name="Received" value={formatCount(row.received)} />
        <Tile
          name="Emitted"
          value={formatCount(row.emitted)}
          note={row.derived > 0 ? `and ${formatCount(row.derived)} copies it made` : ''}
        />
        <Tile
          name="Rejected"
          value={formatCount(row.rejected)}
          note={row.rejected > 0 ? <a href={linkTo(['rejected'], { job: name })}>Why?</a> : ''}
        />
        <Tile
          name="Dropped"
          value={formatCount(row.dropped)}
          note={dropReasons(now, name)
            .map(({ why, count }) => `${formatCount(count)} ${why}`)
            .join(', ')}
        />
      </dl>
      <Panel
        title="Received a second"
        aside={row.balanced ? <Tag tone="ok">adds up</Tag> : <Tag tone="bad">does not add up</Tag>}
      >
        <Received name={name} />
      </Panel>
      <div class="columns">
        <Panel title="Reads">
          <Topics names={job.inputs} pulse={now} />
        </Panel>
        <Panel title="Writes">
          <Topics names={job.outputs} pulse={now} />
        </Panel>
      </div>
      <Panel title="Counters" aside={<span class="quiet">stands in for {job.replaces}</span>}>
        <Counters name={name} pulse={now} />
      </Panel>
    </>
  );
}

function Crumb({ name }: { readonly name: string }) {
  return (
    <>
      <a class="crumb" href="#/">
        Pipeline
      </a>
      {name}
    </>
  );
}

function Tile({
  name,
  value,
  note = '',
}: {
  readonly name: string;
  readonly value: string;
  readonly note?: preact.ComponentChildren;
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class="tile-value">{value}</dd>
      <dd class="tile-note">{note}</dd>
    </div>
  );
}

function Received({ name }: { readonly name: string }) {
  const all = beats.value;
  const data = useMemo(
    () => [all.map(beat => beat.timeMs), ratesOf(all, beat => beat.received[name] ?? 0)],
    [all, name],
  );
  const series = [{ label: 'received', color: 'accent' }];
  return (
    <Chart label="since this page was opened" series={series} data={data} height={150} format={formatRate} />
  );
}

function Topics({ names, pulse: now }: { readonly names: readonly string[]; readonly pulse: PulseDocument }) {
  return (
    <table class="table">
      <tbody>
        {names.map(name => {
          const topic = findTopic(now, name);
          return (
            <tr key={name}>
              <td>{topic?.stored ? <a href={linkTo(['topics', name])}>{name}</a> : name}</td>
              <td class="quiet">{topic?.stored ? '' : 'counted, not stored'}</td>
              <td class="is-number">{formatCount(topic?.records ?? 0)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Counters({ name, pulse: now }: { readonly name: string; readonly pulse: PulseDocument }) {
  const counters = Object.entries(now.status.counters)
    .filter(([key]) => key.startsWith(`${name}.`))
    .map(([key, count]) => [key.slice(name.length + 1), count] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (counters.length === 0) return <Empty title="Nothing was counted yet" />;
  return (
    <table class="table">
      <tbody>
        {counters.map(([key, count]) => (
          <tr key={key}>
            <td class="mono">{key}</td>
            <td class="is-number">{formatCount(count)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
