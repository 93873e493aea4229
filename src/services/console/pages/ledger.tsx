import type { PulseDocument } from '../../query/contract.ts';
import { formatCount, formatRate } from '../model/format.ts';
import { dropReasons } from '../model/pipeline.ts';
import { Tag } from '../parts/bits.tsx';
import { linkTo } from '../state/place.ts';
import { beats, rateOf } from '../state/pulse.ts';

/** For each job: received = emitted + rejected + dropped, with the reasons of what was dropped. */
export function Ledger({ pulse }: { readonly pulse: PulseDocument }) {
  return (
    <div class="table-scroll">
      <table class="table">
        <thead>
          <tr>
            <th>Job</th>
            <th class="is-number">Received</th>
            <th class="is-number">Emitted</th>
            <th class="is-number">Rejected</th>
            <th class="is-number">Dropped</th>
            <th>Reasons</th>
            <th>Adds up</th>
          </tr>
        </thead>
        <tbody>
          {pulse.status.conservation.map(row => (
            <tr key={row.job}>
              <td>
                <a href={linkTo(['jobs', row.job])}>{row.job}</a>
              </td>
              <td class="is-number">{formatCount(row.received)}</td>
              <td class="is-number">{formatCount(row.emitted)}</td>
              <td class="is-number">
                {row.rejected === 0 ? (
                  '0'
                ) : (
                  <a class="is-bad" href={linkTo(['rejected'], { job: row.job })}>
                    {formatCount(row.rejected)}
                  </a>
                )}
              </td>
              <td class="is-number">{formatCount(row.dropped)}</td>
              <td class="quiet">{reasonsText(pulse, row.job)}</td>
              <td>{row.balanced ? <Tag tone="ok">yes</Tag> : <Tag tone="bad">no</Tag>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function reasonsText(pulse: PulseDocument, job: string): string {
  return dropReasons(pulse, job)
    .map(({ why, count }) => `${formatCount(count)} ${why}`)
    .join(', ');
}

/** The jobs from top to bottom, for a page too narrow for the graph. */
export function JobList({ pulse }: { readonly pulse: PulseDocument }) {
  return (
    <ol class="job-list">
      {pulse.status.conservation.map(row => (
        <li key={row.job}>
          <a href={linkTo(['jobs', row.job])} class="job-card">
            <b>{row.job}</b>
            <span class="job-rate">
              {formatRate(rateOf(beats.value, beat => beat.received[row.job] ?? 0))}/s
            </span>
            <span class="quiet">{formatCount(row.received)} received</span>
            <span class="job-aside">
              {row.rejected === 0 ? null : <Tag tone="bad">{formatCount(row.rejected)} rejected</Tag>}
              {row.dropped === 0 ? null : <Tag tone="warn">{formatCount(row.dropped)} dropped</Tag>}
            </span>
          </a>
        </li>
      ))}
    </ol>
  );
}
