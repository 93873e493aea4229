import { useMemo } from 'preact/hooks';
import type { QueryDocument } from '../../query/contract.ts';
import { commonPointer, fieldOf } from '../model/explain.ts';
import { formatCount } from '../model/format.ts';
import { GROUPED_MAX, groupsSql, timesSql } from '../model/rejections.ts';
import { Ago, Empty, PageHead, Panel, RefusalBox } from '../parts/bits.tsx';
import { Chart, LAYER_COLORS } from '../parts/chart.tsx';
import { ExportButtons } from '../parts/export-buttons.tsx';
import { type Answer, post, useAnswer } from '../state/api.ts';
import { place, setFilters } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';
import { EventDrawer } from './event-drawer.tsx';

const HOUR_MS = 3_600_000;
/** Spans that can be looked at, with the width of a bar. */
const SPANS: Readonly<Record<string, readonly [label: string, ms: number, bucketMs: number]>> = {
  '1h': ['Last hour', HOUR_MS, 60_000],
  '24h': ['Last 24 hours', 24 * HOUR_MS, 1_800_000],
  '7d': ['Last 7 days', 7 * 24 * HOUR_MS, 3 * HOUR_MS],
};
const CHART_HEIGHT = 150;
const CLOSED = { id: undefined, group: undefined };

/** Rejections that differ only in which event they befell: one row. */
interface Group {
  /** Short name of what its events have in common; stays when newer ones come. */
  readonly key: string;
  readonly code: string;
  readonly job: string;
  readonly eid: string;
  readonly field: string;
  readonly reason: string;
  readonly producer: string;
  readonly count: number;
  readonly lastMs: number;
  /** Id of the newest, as `GET /v1/events/:id` takes it. */
  readonly id: string;
}

/** What was rejected: by reason over time, alike ones together, each explained on the newest of its kind. */
export function RejectedPage() {
  const { query } = place.value;
  const span = SPANS[query['span'] ?? ''] === undefined ? '1h' : query['span']!;
  const rejected = pulse.value?.status.conservation.reduce((sum, row) => sum + row.rejected, 0) ?? 0;
  const idle = pulse.value?.status.idle === true;
  const job = query['job'] ?? '';
  const { answer } = useAnswer(`${span} ${job} ${rejected} ${idle}`, signal =>
    post<QueryDocument>('/v1/query', { sql: groupsSql(fromMsOf(span), job) }, signal),
  );
  const groups = useMemo(
    () => (answer === undefined || 'refusal' in answer ? [] : groupsOf(answer.value)),
    [answer],
  );
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  return (
    <>
      <PageHead title="Rejected">
        <label class="inline-field">
          <span class="sr-only">Span</span>
          <select value={span} onChange={event => setFilters({ span: event.currentTarget.value, ...CLOSED })}>
            {Object.entries(SPANS).map(([value, [label]]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <ExportButtons name="rejected" columns={EXPORTED} rows={groups.map(group => ({ ...group }))} />
      </PageHead>
      {answer !== undefined && 'refusal' in answer ? <RefusalBox refusal={answer.refusal} /> : null}
      <Panel
        title={`${countOf(answer, total)}${job === '' ? '' : ` by ${job}`}`}
        aside={job === '' ? null : <AllJobs />}
      >
        <OverTime span={span} job={job} version={`${rejected} ${idle}`} />
      </Panel>
      <div class={query['id'] === undefined ? 'split is-auto' : 'split is-auto is-open'}>
        {answer === undefined || 'refusal' in answer ? null : (
          <div class="groups">
            {groups.length === 0 ? <Nothing /> : null}
            {groups.map(group => (
              <GroupCard key={group.key} group={group} isSelected={query['group'] === group.key} />
            ))}
          </div>
        )}
        {query['id'] === undefined ? null : <EventDrawer id={query['id']} />}
      </div>
    </>
  );
}

/** No number before there is one: over many rejections the question takes seconds, and 0 would be believed. */
function countOf(answer: Answer<QueryDocument> | undefined, total: number): string {
  if (answer === undefined) return 'Counting what was rejected';
  if ('refusal' in answer) return 'Rejected, not counted';
  const isCut = total >= GROUPED_MAX;
  return isCut ? `The newest ${formatCount(total)} rejected` : `${formatCount(total)} rejected`;
}

function AllJobs() {
  return (
    <button type="button" class="button is-small" onClick={() => setFilters({ job: undefined })}>
      All jobs
    </button>
  );
}

function Nothing() {
  return (
    <Empty title="Nothing was rejected">
      <p>Events that break the schema of their kind land here, each with the field at fault.</p>
    </Empty>
  );
}

const EXPORTED = ['count', 'code', 'job', 'eid', 'field', 'reason', 'producer', 'lastMs', 'id'];

function GroupCard({ group, isSelected }: { readonly group: Group; readonly isSelected: boolean }) {
  return (
    <button
      type="button"
      class={isSelected ? 'group is-selected' : 'group'}
      aria-pressed={isSelected}
      onClick={() => setFilters(isSelected ? CLOSED : { id: group.id, group: group.key })}
    >
      <span class="group-count">{formatCount(group.count)}</span>
      <span class="group-what">
        <b>{group.eid}</b> {group.field === '' ? null : <code>{group.field}</code>} {group.reason}
      </span>
      <span class="group-who quiet">
        {group.producer === '' ? 'producer unknown' : group.producer}, by {group.job}, last{' '}
        {group.lastMs === 0 ? '' : <Ago ms={group.lastMs} />}
      </span>
    </button>
  );
}

/** Bars by code over time, stacked. */
function OverTime({
  span,
  job,
  version,
}: {
  readonly span: string;
  readonly job: string;
  readonly version: string;
}) {
  const { answer } = useAnswer(`${span} ${job} ${version}`, signal =>
    post<QueryDocument>('/v1/query', { sql: timesSql(fromMsOf(span), job, SPANS[span]![2]) }, signal),
  );
  const drawn = useMemo(
    () =>
      answer === undefined || 'refusal' in answer ? { codes: [], data: [[]] } : stack(answer.value, span),
    [answer],
  );
  if (answer === undefined) return <div style={{ height: `${CHART_HEIGHT}px` }} />;
  const series = drawn.codes.map((code, index) => ({
    label: code,
    color: LAYER_COLORS[Math.min(index, LAYER_COLORS.length - 1)]!,
  }));
  return (
    <Chart
      label="by code"
      series={series}
      data={drawn.data}
      height={CHART_HEIGHT}
      shape="bars"
      format={formatCount}
    />
  );
}

/** Layers that add up: the tallest is drawn first, each next covers what is not its own. */
function stack(document: QueryDocument, span: string) {
  const [, spanMs, bucketMs] = SPANS[span]!;
  const lastBucket = Math.floor(Date.now() / bucketMs);
  const count = Math.round(spanMs / bucketMs);
  const times = Array.from({ length: count }, (_, index) => (lastBucket - count + 1 + index) * bucketMs);
  const codes = [...new Set(document.rows.map(row => String(row['code'])))];
  const layers = codes.map(() => times.map(() => 0));
  for (const row of document.rows) {
    const at = times.indexOf(Number(row['bucket']) * bucketMs);
    const layer = layers[codes.indexOf(String(row['code']))];
    if (at !== -1 && layer !== undefined) layer[at] = Number(row['count']);
  }
  const stacked = layers.map((_, from) => times.map((__, at) => sumFrom(layers, from, at)));
  return { codes, data: [times, ...stacked] };
}

function sumFrom(layers: readonly (readonly number[])[], from: number, at: number): number {
  return layers.slice(from).reduce((sum, layer) => sum + (layer[at] ?? 0), 0);
}

/** From when on rejections of the span are looked at: to the second, so that both questions ask the same. */
function fromMsOf(span: string): number {
  return Math.floor((Date.now() - SPANS[span]![1]) / 1000) * 1000;
}

/** Rows whose fields differ only in the place within a list become one. */
function groupsOf({ rows }: QueryDocument): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const group = groupOf(row);
    const known = groups.get(group.key);
    const newest = known !== undefined && known.lastMs > group.lastMs ? known : group;
    groups.set(group.key, { ...newest, count: group.count + (known?.count ?? 0) });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}

function groupOf(row: QueryDocument['rows'][number]): Group {
  const text = (name: string): string => String(row[name] ?? '');
  const pointer = commonPointer(typeof row['pointer'] === 'string' ? row['pointer'] : null) ?? '';
  const producer = `${text('pdata_id')} ${text('version')}`.trim();
  const [lastMs = '', id = ''] = text('newest').split(' ');
  return {
    key: shortName([text('code'), text('job'), text('eid'), pointer, text('reason'), producer]),
    code: text('code'),
    job: text('job'),
    eid: text('eid') || 'no eid',
    field: pointer === '' ? '' : fieldOf(pointer),
    reason: text('reason'),
    producer,
    count: Number(row['count']),
    lastMs: Number(lastMs),
    id: `reject:${id}:0`,
  };
}

/** A name for an address: 32 bits of FNV-1a, enough to tell 500 groups apart. */
function shortName(words: readonly string[]): string {
  let hash = 0x811c9dc5;
  for (const character of words.join('\n'))
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0).toString(36);
}
