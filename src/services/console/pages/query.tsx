import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Json, QueryDocument, RelationsDocument } from '../../query/contract.ts';
import { EXAMPLES } from '../model/examples.ts';
import { formatCount } from '../model/format.ts';
import { Empty, PageHead, Panel, RefusalBox } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { ExportButtons } from '../parts/export-buttons.tsx';
import { type Column, WindowedList } from '../parts/windowed-list.tsx';
import { type Answer, post, read, useAnswer } from '../state/api.ts';
import { place, setFilters } from '../state/place.ts';

interface Run {
  readonly sql: string;
  readonly answer?: Answer<QueryDocument>;
  readonly tookMs?: number;
}

/** SQL over the tables: what can be read, examples, and the rows as a table or a plot. */
export function QueryPage() {
  const [sql, setSql] = useState(place.value.query['sql'] ?? EXAMPLES[0]![1]);
  const { run, start, stop } = useRun();
  const editor = useRef<HTMLTextAreaElement>(null);
  const go = (text = sql): void => {
    setFilters({ sql: text });
    start(text);
  };
  useEffect(() => {
    if (place.value.query['sql'] !== undefined) go();
  }, []);
  const isRunning = run !== undefined && run.answer === undefined;
  return (
    <>
      <PageHead title="Query" />
      <div class="query">
        <div class="query-main">
          <label class="field">
            <span>SQL, one SELECT (Ctrl+Enter runs it)</span>
            <textarea
              ref={editor}
              class="editor mono"
              rows={7}
              spellcheck={false}
              data-first="filter"
              value={sql}
              onInput={event => setSql(event.currentTarget.value)}
              onKeyDown={event => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) go(event.currentTarget.value);
              }}
            />
          </label>
          <div class="query-bar">
            <button type="button" class="button is-main" disabled={isRunning} onClick={() => go()}>
              {isRunning ? 'Running…' : 'Run'}
            </button>
            {isRunning ? (
              <button type="button" class="button" onClick={stop}>
                Stop waiting
              </button>
            ) : null}
            <span class="query-examples">
              {EXAMPLES.map(([name, text]) => (
                <button
                  key={name}
                  type="button"
                  class="button is-small"
                  onClick={() => {
                    setSql(text);
                    go(text);
                  }}
                >
                  {name}
                </button>
              ))}
            </span>
          </div>
          {run === undefined ? <Empty title="Run a query, or pick an example" /> : <Outcome run={run} />}
        </div>
        <Relations
          onPick={name => {
            setSql(`${sql}${sql.endsWith(' ') || sql === '' ? '' : ' '}${name}`);
            editor.current?.focus();
          }}
        />
      </div>
    </>
  );
}

function useRun() {
  const [run, setRun] = useState<Run>();
  const running = useRef<AbortController>(null);
  const stop = (): void => {
    running.current?.abort();
    setRun(undefined);
  };
  const start = (sql: string): void => {
    running.current?.abort();
    const stopped = new AbortController();
    running.current = stopped;
    const startedMs = performance.now();
    setRun({ sql });
    void post<QueryDocument>('/v1/query', { sql }, stopped.signal).then(answer => {
      if (!stopped.signal.aborted) setRun({ sql, answer, tookMs: performance.now() - startedMs });
    });
  };
  return { run, start, stop };
}

type QueryRow = Readonly<Record<string, Json>>;

function Outcome({ run }: { readonly run: Run }) {
  if (run.answer === undefined) return <Empty title="Running…" />;
  if ('refusal' in run.answer) return <RefusalBox refusal={run.answer.refusal} />;
  return <Rows document={run.answer.value} tookMs={run.tookMs ?? 0} />;
}

function Rows({ document, tookMs }: { readonly document: QueryDocument; readonly tookMs: number }) {
  const [isPlot, setIsPlot] = useState(false);
  const columns = useMemo(() => columnsOf(document), [document]);
  const plot = useMemo(() => plotOf(document), [document]);
  return (
    <Panel
      title={titleOf(document)}
      aside={
        <div class="panel-actions">
          <span class="quiet">{Math.round(tookMs)} ms</span>
          {plot === undefined ? null : (
            <button
              type="button"
              class={isPlot ? 'button is-small is-on' : 'button is-small'}
              aria-pressed={isPlot}
              onClick={() => setIsPlot(!isPlot)}
            >
              Plot
            </button>
          )}
          <ExportButtons
            name="query"
            columns={document.columns.map(({ name }) => name)}
            rows={document.rows}
          />
        </div>
      }
    >
      {isPlot && plot !== undefined ? (
        <Chart {...plot} height={280} format={formatCount} />
      ) : (
        <WindowedList
          label="Rows"
          columns={columns}
          rows={document.rows}
          keyOf={(_row, index) => String(index)}
        />
      )}
    </Panel>
  );
}

function titleOf({ rows, truncated }: QueryDocument): string {
  return `${formatCount(rows.length)} ${rows.length === 1 ? 'row' : 'rows'}${truncated ? ', cut at the limit' : ''}`;
}

function columnsOf(document: QueryDocument): readonly Column<QueryRow>[] {
  return document.columns.map(({ name, type }) => ({
    title: name,
    track: type === 'integer' || type === 'real' ? 'minmax(90px, 0.6fr)' : 'minmax(140px, 1.4fr)',
    isNumber: type === 'integer' || type === 'real',
    cell: row => textOf(row[name] ?? null),
  }));
}

function textOf(value: Json) {
  if (value === null) return <span class="quiet">null</span>;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const PLOT_ROWS_MAX = 500;

/** Bars of the first column of numbers, in the order of the rows; undefined where there is nothing to plot. */
function plotOf(document: QueryDocument) {
  const rows = document.rows.slice(0, PLOT_ROWS_MAX);
  const numbers = document.columns.filter(({ name }) => rows.every(row => typeof row[name] === 'number'));
  const value = numbers.at(-1);
  if (value === undefined || rows.length < 2) return undefined;
  const words = document.columns.find(({ name }) => name !== value.name)?.name;
  const labels = rows.map((row, index) => (words === undefined ? String(index + 1) : String(row[words])));
  return {
    label: words === undefined ? value.name : `${value.name} by ${words}`,
    series: [{ label: value.name, color: 'accent' }],
    data: [rows.map((_, index) => index), rows.map(row => Number(row[value.name]))],
    x: 'number' as const,
    shape: 'bars' as const,
    labels,
  };
}

function Relations({ onPick }: { readonly onPick: (name: string) => void }) {
  const { answer } = useAnswer('relations', signal => read<RelationsDocument>('/v1/relations', signal));
  if (answer === undefined) return <aside class="relations" />;
  if ('refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  return (
    <aside class="relations" aria-label="What can be read">
      <h2>Relations</h2>
      {answer.value.relations.map(({ relation, columns }, index) => (
        <details key={relation} open={index === 0}>
          <summary class="mono">{relation}</summary>
          <ul>
            {columns.map(column => (
              <li key={column}>
                <button type="button" class="column mono" onClick={() => onPick(quoted(column))}>
                  {column}
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </aside>
  );
}

/** `offset` is a word of SQL. */
function quoted(column: string): string {
  return column === 'offset' ? '"offset"' : column;
}
