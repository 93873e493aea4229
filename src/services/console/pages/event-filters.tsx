import { useEffect, useState } from 'preact/hooks';
import { setFilters } from '../state/place.ts';

const FIELDS: readonly (readonly [name: string, label: string])[] = [
  ['mid', 'Event id (mid)'],
  ['did', 'Device (did)'],
  ['eid', 'Kind (eid)'],
  ['channel', 'Channel'],
  ['user', 'User'],
];
const OUTCOMES: readonly (readonly [value: string, label: string])[] = [
  ['', 'Any outcome'],
  ['emit', 'Kept'],
  ['reject', 'Rejected'],
  ['drop', 'Dropped'],
  ['duplicate', 'Duplicate'],
];
const MINUTE_MS = 60_000;
const RANGES: Readonly<Record<string, readonly [label: string, ms: number]>> = {
  '15m': ['Last 15 minutes', 15 * MINUTE_MS],
  '1h': ['Last hour', 60 * MINUTE_MS],
  '24h': ['Last 24 hours', 24 * 60 * MINUTE_MS],
  '7d': ['Last 7 days', 7 * 24 * 60 * MINUTE_MS],
};

/**
 * A filter by text. What is being typed is kept here until it is done: the page is drawn anew each second, and a
 * field that shows the address alone would drop it then.
 */
function TextFilter(props: {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly isFirst: boolean;
}) {
  const { name, label, value, isFirst } = props;
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        type="search"
        spellcheck={false}
        autocomplete="off"
        data-first={isFirst ? 'filter' : undefined}
        value={text}
        onInput={event => setText(event.currentTarget.value)}
        onChange={event => setFilters({ [name]: event.currentTarget.value.trim(), id: undefined })}
      />
    </label>
  );
}

/** What a search is narrowed by; every change is in the address at once. */
export function EventFilters({ query }: { readonly query: Readonly<Record<string, string>> }) {
  const { range } = query;
  return (
    <search class="filters">
      {FIELDS.map(([name, label], index) => (
        <TextFilter key={name} label={label} isFirst={index === 0} value={query[name] ?? ''} name={name} />
      ))}
      <label class="field">
        <span>Outcome</span>
        <select
          value={query['outcome'] ?? ''}
          onChange={event => setFilters({ outcome: event.currentTarget.value, id: undefined })}
        >
          {OUTCOMES.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Received</span>
        <select value={range ?? ''} onChange={event => setFilters({ range: event.currentTarget.value })}>
          <option value="">Any time</option>
          {Object.entries(RANGES).map(([value, [label]]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
          {range !== undefined && RANGES[range] === undefined ? (
            <option value={range}>{rangeText(range)}</option>
          ) : null}
        </select>
      </label>
    </search>
  );
}

/** The times of a range: a name of the list, or `<fromMs>-<toMs>` as links have it. */
export function rangeOf(
  range: string | undefined,
  nowMs: number,
): { readonly fromMs: number | undefined; readonly toMs: number | undefined } {
  const named = range === undefined ? undefined : RANGES[range];
  if (named !== undefined) return { fromMs: nowMs - named[1], toMs: undefined };
  const exact = /^(\d{1,15})-(\d{1,15})$/.exec(range ?? '');
  return exact === null
    ? { fromMs: undefined, toMs: undefined }
    : { fromMs: Number(exact[1]), toMs: Number(exact[2]) };
}

function rangeText(range: string): string {
  const { fromMs, toMs } = rangeOf(range, 0);
  if (fromMs === undefined || toMs === undefined) return range;
  return `${new Date(fromMs).toLocaleString('en-GB')} to ${new Date(toMs).toLocaleTimeString('en-GB')}`;
}
