import { useEffect, useState } from 'preact/hooks';
import type { EventRow, EventsDocument } from '../../query/contract.ts';
import { formatCount } from '../model/format.ts';
import { Empty, OutcomeTag, PageHead, RefusalBox, Time } from '../parts/bits.tsx';
import { ExportButtons } from '../parts/export-buttons.tsx';
import { type Column, WindowedList } from '../parts/windowed-list.tsx';
import { type Answer, apiPath, read } from '../state/api.ts';
import { place, setFilters } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';
import { EventDrawer } from './event-drawer.tsx';
import { EventFilters, rangeOf } from './event-filters.tsx';
import { SampleButton } from './first-run.tsx';

/** Rows that stay in the browser; older ones are found by a narrower search. */
const ROWS_MAX = 10_000;
const PAGE_ROWS = 200;

const COLUMNS: readonly Column<EventRow>[] = [
  { title: 'Received', track: '128px', cell: row => <Time ms={row.receivedAtMs} /> },
  { title: 'Kind', track: 'minmax(96px, 0.6fr)', cell: row => <b>{row.eid ?? '–'}</b> },
  { title: 'Outcome', track: '104px', cell: row => <OutcomeTag outcome={row.outcome} /> },
  { title: 'Event id', track: 'minmax(96px, 1.4fr)', isWide: true, cell: row => <Id text={row.mid} /> },
  { title: 'Device', track: 'minmax(88px, 1fr)', isWide: true, cell: row => <Id text={row.did} /> },
  { title: 'User', track: 'minmax(88px, 1fr)', isWide: true, cell: row => <Id text={row.userId} /> },
  { title: 'Channel', track: 'minmax(88px, 0.9fr)', isWide: true, cell: row => <Id text={row.channel} /> },
  { title: 'Producer', track: 'minmax(88px, 0.9fr)', isWide: true, cell: row => row.pdataId ?? '–' },
];

function Id({ text }: { readonly text: string | null }) {
  return (
    <span class="mono" title={text ?? ''}>
      {text ?? '–'}
    </span>
  );
}

/** Events wherever they ended: search, live tail, and each one beside its path. */
export function EventsPage() {
  const { query } = place.value;
  const found = useSearch(query);
  const selected = query['id'];
  const name = `events-${query['eid'] ?? query['did'] ?? query['mid'] ?? 'all'}`;
  return (
    <>
      <PageHead title="Events">
        <button
          type="button"
          class={query['live'] === 'off' ? 'button' : 'button is-on'}
          aria-pressed={query['live'] !== 'off'}
          onClick={() => setFilters({ live: query['live'] === 'off' ? undefined : 'off' })}
        >
          Live
        </button>
        <ExportButtons name={name} columns={EXPORTED} rows={found.rows.map(row => ({ ...row }))} />
      </PageHead>
      <EventFilters query={query} />
      {found.refusal === undefined ? null : <RefusalBox refusal={found.refusal} />}
      <div class={selected === undefined ? 'split' : 'split is-open'}>
        <WindowedList
          label="Events"
          columns={selected === undefined ? COLUMNS : COLUMNS.slice(0, 3)}
          rows={found.rows}
          keyOf={row => row.id}
          selectedKey={selected}
          onOpen={row => setFilters({ id: row.id, live: 'off' })}
          foot={<Foot found={found} hasFilter={Object.keys(query).some(key => FILTERS.includes(key))} />}
        />
        {selected === undefined ? null : <EventDrawer id={selected} />}
      </div>
    </>
  );
}

const FILTERS: readonly string[] = ['mid', 'did', 'channel', 'eid', 'user', 'outcome', 'range'];
const EXPORTED = [
  'receivedAtMs',
  'outcome',
  'eid',
  'mid',
  'did',
  'channel',
  'pdataId',
  'userId',
  'ets',
  'job',
  'code',
  'topic',
  'partition',
  'offset',
];

function Foot({ found, hasFilter }: { readonly found: Found; readonly hasFilter: boolean }) {
  if (found.rows.length === 0 && !found.isLoading && found.next === null) {
    return hasFilter ? (
      <Empty title="No event matches">
        <p>Every filter must match exactly. Events older than the tables keep are in the archive.</p>
      </Empty>
    ) : (
      <Empty title="No events yet">
        <SampleButton isMain />
      </Empty>
    );
  }
  return (
    <div class="list-foot">
      <span class="quiet">
        {formatCount(found.rows.length)} events{found.next === null ? ', that is all' : ''}
      </span>
      {found.next === null || found.rows.length >= ROWS_MAX ? null : (
        <button type="button" class="button is-small" disabled={found.isLoading} onClick={found.more}>
          Older
        </button>
      )}
    </div>
  );
}

interface Found {
  readonly rows: readonly EventRow[];
  readonly next: string | null;
  readonly isLoading: boolean;
  readonly refusal?: {
    readonly code: string;
    readonly message: string;
    readonly why: string;
    readonly remedy: string;
  };
  readonly more: () => void;
}

/** Searches for the filters; while live, looks again whenever the pipeline has moved. */
function useSearch(query: Readonly<Record<string, string>>): Found {
  const filters = Object.fromEntries(FILTERS.map(name => [name, query[name]]));
  const key = JSON.stringify(filters);
  const [state, setState] = useState<Omit<Found, 'more'>>({ rows: [], next: null, isLoading: true });
  const now = query['live'] === 'off' ? null : pulse.value;
  // What was received is in the tables a moment later: when the pipeline is idle at the latest.
  const moved = now === null ? '' : `${now.status.conservation[0]?.received} ${now.status.idle}`;
  useEffect(() => {
    const stopped = new AbortController();
    void search(filters, undefined, stopped.signal).then(answer => {
      if (stopped.signal.aborted) return;
      if ('refusal' in answer) setState({ rows: [], next: null, isLoading: false, refusal: answer.refusal });
      else setState({ rows: answer.value.events, next: answer.value.next, isLoading: false });
    });
    return () => stopped.abort();
  }, [key, moved]);
  const more = (): void => {
    if (state.next === null) return;
    setState({ ...state, isLoading: true });
    if (query['live'] !== 'off') setFilters({ live: 'off' });
    void search(filters, state.next).then(answer => {
      if ('refusal' in answer) setState({ ...state, isLoading: false, refusal: answer.refusal });
      else
        setState({
          rows: [...state.rows, ...answer.value.events],
          next: answer.value.next,
          isLoading: false,
        });
    });
  };
  return { ...state, more };
}

/** Pages that one search reads on where the filters match little: each looks at 10,000 rows of each relation. */
const SEARCH_PAGES_MAX = 50;

async function search(
  filters: Readonly<Record<string, string | undefined>>,
  after?: string,
  signal?: AbortSignal,
): Promise<Answer<EventsDocument>> {
  const { range, ...exact } = filters;
  const { fromMs, toMs } = rangeOf(range, Date.now());
  const events: EventRow[] = [];
  let next = after;
  for (let page = 0; page < SEARCH_PAGES_MAX; page++) {
    const path = apiPath('/v1/events', { ...exact, fromMs, toMs, limit: PAGE_ROWS, after: next });
    const answer = await read<EventsDocument>(path, signal);
    if ('refusal' in answer) return answer;
    events.push(...answer.value.events);
    next = answer.value.next ?? undefined;
    if (next === undefined || events.length >= PAGE_ROWS) break;
  }
  return { value: { events, next: next ?? null } };
}
