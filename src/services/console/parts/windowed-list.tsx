import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { isNarrow } from '../state/width.ts';

/** A column of a list: `track` is its width as CSS grid says it. */
export interface Column<R> {
  readonly title: string;
  readonly track: string;
  readonly isNumber?: boolean;
  /** Left out on a phone. */
  readonly isWide?: boolean;
  readonly cell: (row: R) => ComponentChildren;
}

/** What a list shows. */
export interface WindowedListProps<R> {
  readonly label: string;
  readonly columns: readonly Column<R>[];
  readonly rows: readonly R[];
  readonly keyOf: (row: R, index: number) => string;
  readonly selectedKey?: string | undefined;
  readonly onOpen?: (row: R) => void;
  /** Shown below the last row. */
  readonly foot?: ComponentChildren;
}

const ROW_HEIGHT = 34;
/** Rows drawn above and below what is seen. */
const MARGIN_ROWS = 8;

/**
 * A table of any length of which only the rows in view are drawn. Up, Down, Page Up, Page Down, Home and End
 * move, Enter opens.
 */
export function WindowedList<R>({
  label,
  columns,
  rows,
  keyOf,
  selectedKey,
  onOpen,
  foot,
}: WindowedListProps<R>) {
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState(0);
  useEffect(() => watch(frame.current!, setView), []);
  const shown = columns.filter(column => !isNarrow.value || column.isWide !== true);
  const tracks = shown.map(column => column.track).join(' ');
  const first = Math.max(0, Math.floor(view.top / ROW_HEIGHT) - MARGIN_ROWS);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW_HEIGHT) + MARGIN_ROWS);
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = nextRow(event.key, active, rows.length, Math.floor(view.height / ROW_HEIGHT) - 1);
    if (to !== undefined) {
      event.preventDefault();
      setActive(to);
      reveal(frame.current!, to);
    } else if (event.key === 'Enter' && rows[active] !== undefined) onOpen?.(rows[active]);
  };
  return (
    <div class="list">
      <div
        class="list-frame"
        ref={frame}
        role="grid"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <HeadRow columns={shown} tracks={tracks} />
        <div class="list-body" role="rowgroup" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
          {rows.slice(first, last).map((row, index) => {
            const at = first + index;
            const key = keyOf(row, at);
            const state = `${at === active ? ' is-active' : ''}${key === selectedKey ? ' is-selected' : ''}`;
            return (
              <div
                key={key}
                class={`list-row${onOpen === undefined ? '' : ' is-open'}${state}`}
                role="row"
                aria-rowindex={at + 2}
                aria-selected={key === selectedKey}
                tabIndex={-1}
                style={{ top: `${at * ROW_HEIGHT}px`, gridTemplateColumns: tracks }}
                onClick={() => {
                  setActive(at);
                  onOpen?.(row);
                }}
              >
                {shown.map(column => (
                  <div
                    key={column.title}
                    role="gridcell"
                    tabIndex={-1}
                    class={column.isNumber ? 'cell is-number' : 'cell'}
                  >
                    {column.cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        {foot}
      </div>
    </div>
  );
}

function HeadRow<R>({
  columns,
  tracks,
}: {
  readonly columns: readonly Column<R>[];
  readonly tracks: string;
}) {
  return (
    <div class="list-head" role="row" aria-rowindex={1} tabIndex={-1} style={{ gridTemplateColumns: tracks }}>
      {columns.map(column => (
        <div
          key={column.title}
          role="columnheader"
          tabIndex={-1}
          class={column.isNumber ? 'cell is-number' : 'cell'}
        >
          {column.title}
        </div>
      ))}
    </div>
  );
}

/** Follows what is seen of the list; at most once a frame. */
function watch(
  frame: HTMLElement,
  setView: (view: { readonly top: number; readonly height: number }) => void,
): () => void {
  let asked = 0;
  const look = (): void => {
    asked = 0;
    setView({ top: frame.scrollTop, height: frame.clientHeight });
  };
  const ask = (): void => {
    if (asked === 0) asked = requestAnimationFrame(look);
  };
  const sizes = new ResizeObserver(ask);
  sizes.observe(frame);
  frame.addEventListener('scroll', ask, { passive: true });
  return () => {
    sizes.disconnect();
    frame.removeEventListener('scroll', ask);
    cancelAnimationFrame(asked);
  };
}

function nextRow(key: string, active: number, count: number, page: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: active + 1,
    ArrowUp: active - 1,
    PageDown: active + page,
    PageUp: active - page,
    Home: 0,
    End: count - 1,
  };
  const to = steps[key];
  return to === undefined ? undefined : Math.max(0, Math.min(count - 1, to));
}

function reveal(frame: HTMLElement, row: number): void {
  const top = row * ROW_HEIGHT;
  const seen = frame.clientHeight - 2 * ROW_HEIGHT;
  if (top < frame.scrollTop) frame.scrollTop = top;
  else if (top > frame.scrollTop + seen) frame.scrollTop = top - seen;
}
