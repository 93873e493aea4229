import { useMemo } from 'preact/hooks';
import type { PulseDocument } from '../../query/contract.ts';
import { findingsOf } from '../model/findings.ts';
import { formatBytes, formatCount, formatRate, formatSpan } from '../model/format.ts';
import { PageHead, Panel, Tag } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { beats, pulse, rateOf, ratesOf } from '../state/pulse.ts';

const TONES: Readonly<Record<string, string>> = { ok: 'ok', degraded: 'warn', failed: 'bad' };

/** What is wrong first, with the remedy; then every component, the disk, and the figures of ingest. */
export function HealthPage() {
  const now = pulse.value;
  if (now === null) return <PageHead title="Health" />;
  return (
    <>
      <PageHead title="Health" />
      <Findings pulse={now} />
      <div class="columns">
        <Panel title="Components">
          <Components pulse={now} />
        </Panel>
        <Panel title="Disk">
          <Disk pulse={now} />
        </Panel>
      </div>
      <Figures pulse={now} />
      <div class="columns">
        <Panel title="Acknowledged">
          <Acknowledged />
        </Panel>
        <Panel title="Memory">
          <Memory />
        </Panel>
      </div>
    </>
  );
}

function Findings({ pulse: now }: { readonly pulse: PulseDocument }) {
  const findings = findingsOf(now);
  if (findings.length === 0) {
    return (
      <div class="note is-ok" role="status">
        <b>All is well.</b> Every component works, both conservation laws hold, and the disk has room.
      </div>
    );
  }
  return (
    <ul class="findings" aria-label="What is wrong">
      {findings.map(({ severity, what, why, remedy }) => (
        <li key={`${what}${why}`} class={severity === 'bad' ? 'note is-bad' : 'note is-warn'}>
          <b>{what}</b>
          <p>{why}</p>
          <p>
            <b>Do:</b> {remedy}
          </p>
        </li>
      ))}
    </ul>
  );
}

function Components({ pulse: now }: { readonly pulse: PulseDocument }) {
  return (
    <table class="table">
      <thead>
        <tr>
          <th>Component</th>
          <th>Adapter</th>
          <th>State</th>
          <th>Detail</th>
        </tr>
      </thead>
      <tbody>
        {now.status.components.map(({ name, adapter, state, detail }) => (
          <tr key={name}>
            <td>{name}</td>
            <td class="quiet">{adapter}</td>
            <td>
              <Tag tone={TONES[state] ?? 'muted'}>{state}</Tag>
            </td>
            <td>{detailText(detail)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** `18211 bytes` in a unit that can be read; anything else as it is. */
function detailText(detail: string): string {
  return detail.replace(/^(\d+) bytes/, (_, bytes) => formatBytes(Number(bytes)));
}

function Disk({ pulse: { disk } }: { readonly pulse: PulseDocument }) {
  return (
    <dl class="budgets">
      <Budget
        name="Log"
        value={disk.logBytes}
        max={disk.logBytesMax}
        note={`of ${formatBytes(disk.logBytesMax)}, kept ${formatSpan(disk.logRetentionMs)} and until the sinks passed`}
      />
      <Budget
        name="Tables"
        value={disk.tablesBytes}
        max={disk.tablesBytes + disk.freeBytes}
        note={`rows are kept ${formatSpan(disk.tablesRetentionMs)}`}
      />
      <Budget
        name="Free"
        value={disk.freeBytes}
        max={disk.freeBytes + disk.logBytes + disk.tablesBytes}
        note={`ingest stops below ${formatBytes(disk.freeBytesMin)}`}
      />
    </dl>
  );
}

function Budget({
  name,
  value,
  max,
  note,
}: {
  readonly name: string;
  readonly value: number;
  readonly max: number;
  readonly note: string;
}) {
  return (
    <div class="budget">
      <dt>{name}</dt>
      <dd>{formatBytes(value)}</dd>
      <dd class="budget-bar">
        <meter min={0} max={max} value={value} aria-label={`${name}: ${formatBytes(value)}`} />
      </dd>
      <dd class="budget-note quiet">{note}</dd>
    </div>
  );
}

function Figures({ pulse: now }: { readonly pulse: PulseDocument }) {
  const { ingest, memory, status } = now;
  const refused = Object.values(ingest.refused).reduce((sum, count) => sum + count, 0);
  const figures: readonly (readonly [name: string, value: string, note: string])[] = [
    [
      'Acknowledged',
      `${formatRate(rateOf(beats.value, beat => beat.accepted))}/s`,
      `${formatCount(ingest.events)} events since the start`,
    ],
    [
      'Answers, p99',
      latencyText(ingest.latencyMsP99),
      `p50 ${latencyText(ingest.latencyMsP50)}, last minute`,
    ],
    ['Refused', formatCount(refused), `of ${formatCount(ingest.requests)} requests`],
    ['Memory', formatBytes(memory.rssBytes), `${formatBytes(memory.heapUsedBytes)} in JavaScript`],
    ['Up for', formatSpan(status.uptimeMs), `version ${status.version}, ${status.environment}`],
  ];
  return (
    <dl class="tiles">
      {figures.map(([name, value, note]) => (
        <div key={name} class="tile">
          <dt>{name}</dt>
          <dd class="tile-value">{value}</dd>
          <dd class="tile-note">{note}</dd>
        </div>
      ))}
    </dl>
  );
}

function latencyText(ms: number | null): string {
  return ms === null ? '–' : `≤ ${ms} ms`;
}

function Acknowledged() {
  const all = beats.value;
  const data = useMemo(() => [all.map(beat => beat.timeMs), ratesOf(all, beat => beat.accepted)], [all]);
  return (
    <Chart
      label="a second, since this page was opened"
      series={[{ label: 'events', color: 'accent' }]}
      data={data}
      height={150}
      format={formatRate}
    />
  );
}

function Memory() {
  const all = beats.value;
  const data = useMemo(() => [all.map(beat => beat.timeMs), all.map(beat => beat.rssBytes)], [all]);
  return (
    <Chart
      label="of the whole process"
      isBytes
      series={[{ label: 'resident', color: 'info' }]}
      data={data}
      height={150}
      format={formatBytes}
    />
  );
}
