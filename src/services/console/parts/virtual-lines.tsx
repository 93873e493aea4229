import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

const LINE_HEIGHT = 20;
const MARGIN_LINES = 20;

/** Lines of text of which only those in view are drawn; `reveal` is scrolled to, -1 for none. */
export function VirtualLines({
  count,
  label,
  reveal,
  line,
}: {
  readonly count: number;
  readonly label: string;
  readonly reveal: number;
  readonly line: (index: number) => ComponentChildren;
}) {
  const frame = useRef<HTMLElement>(null);
  const [view, setView] = useState({ top: 0, height: 480 });
  const look = (): void => {
    const { scrollTop, clientHeight } = frame.current!;
    setView({ top: scrollTop, height: clientHeight });
  };
  useEffect(() => {
    if (reveal > 6) frame.current!.scrollTop = (reveal - 6) * LINE_HEIGHT;
    look();
  }, [reveal, count]);
  const first = Math.max(0, Math.floor(view.top / LINE_HEIGHT) - MARGIN_LINES);
  const last = Math.min(count, Math.ceil((view.top + view.height) / LINE_HEIGHT) + MARGIN_LINES);
  const indexes = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached from the keyboard
    <section class="lines" ref={frame} tabIndex={0} aria-label={label} onScroll={look}>
      <div
        class="lines-all"
        style={{ paddingTop: `${first * LINE_HEIGHT}px`, height: `${count * LINE_HEIGHT}px` }}
      >
        {indexes.map(index => (
          <div key={index} class="lines-one">
            {line(index)}
          </div>
        ))}
      </div>
    </section>
  );
}
