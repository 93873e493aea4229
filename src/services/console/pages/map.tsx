import { useMemo } from 'preact/hooks';
import type { JobDocument, PulseDocument } from '../../query/contract.ts';
import { formatCount, formatRate } from '../model/format.ts';
import { Ago, PageHead, Panel, RefusalBox } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { read, useAnswer } from '../state/api.ts';
import { beats, pulse, rateOf, ratesOf } from '../state/pulse.ts';
import { isNarrow } from '../state/width.ts';
import { FirstRun } from './first-run.tsx';
import { JobList, Ledger } from './ledger.tsx';
import { PipelineGraph } from './pipeline-graph.tsx';

const SERIES = [
  { label: 'accepted', color: 'accent' },
  { label: 'rejected', color: 'bad' },
];

/** The home page: what flows through the pipeline now, what it set aside, and whether everything is accounted for. */
export function MapPage() {
  const { answer } = useAnswer('jobs', signal =>
    read<{ readonly jobs: readonly JobDocument[] }>('/v1/jobs', signal),
  );
  const now = pulse.value;
  if (answer !== undefined && 'refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  if (answer === undefined || now === null) return <PageHead title="Pipeline" />;
  const isEmpty = now.status.conservation.every(({ received }) => received === 0);
  return (
    <>
      <PageHead title="Pipeline" />
      <Tiles pulse={now} />
      {isEmpty ? <FirstRun /> : null}
      {isNarrow.value ? <JobList pulse={now} /> : <PipelineGraph jobs={answer.value.jobs} pulse={now} />}
      <div class="columns">
        <Panel title="Events a second">
          <Rates />
        </Panel>
        <Panel title="Consumer groups">
          <Groups pulse={now} />
        </Panel>
      </div>
      <Panel title="Every event is accounted for">
        <Ledger pulse={now} />
      </Panel>
    </>
  );
}

function Tiles({ pulse: now }: { readonly pulse: PulseDocument }) {
  const { conservation, edges } = now.status;
  const sum = (pick: (row: (typeof conservation)[number]) => number) =>
    conservation.reduce((total, row) => total + pick(row), 0);
  const broken = [...conservation, ...edges].filter(({ balanced }) => !balanced).length;
  const rejected = sum(row => row.rejected);
  return (
    <dl class="tiles">
      <Tile name="Accepted" value={`${formatRate(rateOf(beats.value, beat => beat.accepted))}/s`}>
        {formatCount(conservation[0]?.received ?? 0)} events so far
      </Tile>
      <Tile name="Rejected" value={formatCount(rejected)} tone={rejected > 0 ? 'bad' : 'plain'}>
        {rejected > 0 ? <a href="#/rejected">Why?</a> : 'none'}
      </Tile>
      <Tile name="Dropped" value={formatCount(sum(row => row.dropped))}>
        on purpose, with a reason
      </Tile>
      <Tile name="Unaccounted" value={broken === 0 ? '0' : String(broken)} tone={broken === 0 ? 'ok' : 'bad'}>
        {broken === 0 ? 'both laws hold' : <a href="#/health">places do not add up</a>}
      </Tile>
      <Tile
        name="Last event"
        value={now.lastReceivedAtMs === null ? 'none yet' : <Ago ms={now.lastReceivedAtMs} />}
      >
        {now.status.idle ? 'idle: all is processed' : 'working'}
      </Tile>
    </dl>
  );
}

function Tile({
  name,
  value,
  tone = 'plain',
  children,
}: {
  readonly name: string;
  readonly value: preact.ComponentChildren;
  readonly tone?: string;
  readonly children: preact.ComponentChildren;
}) {
  return (
    <div class={`tile is-${tone}`}>
      <dt>{name}</dt>
      <dd class="tile-value">{value}</dd>
      <dd class="tile-note">{children}</dd>
    </div>
  );
}

function Rates() {
  const all = beats.value;
  const data = useMemo(
    () => [
      all.map(beat => beat.timeMs),
      ratesOf(all, beat => beat.accepted),
      ratesOf(all, beat => beat.rejected),
    ],
    [all],
  );
  return (
    <Chart label="since this page was opened" series={SERIES} data={data} height={170} format={formatRate} />
  );
}

/** Jobs and sinks by the group they read as: what they still have to read, over all topics. */
function Groups({ pulse: now }: { readonly pulse: PulseDocument }) {
  const lags = new Map<string, number>();
  for (const { groups } of now.topics) {
    for (const { group, lag } of groups) lags.set(group, (lags.get(group) ?? 0) + lag);
  }
  return (
    <table class="table">
      <thead>
        <tr>
          <th>Group</th>
          <th class="is-number">Records behind</th>
        </tr>
      </thead>
      <tbody>
        {[...lags].map(([group, lag]) => (
          <tr key={group}>
            <td>
              {group}
              {group === 'archive' ? (
                <span class="quiet"> gathers records to large objects, so it waits</span>
              ) : null}
            </td>
            <td class="is-number">{formatCount(lag)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
