import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { isDark } from '../state/theme.ts';

/** One line or one layer of bars; `color` is the name of a token: `accent`, `bad`. */
export interface Series {
  readonly label: string;
  readonly color: string;
}

/** What a chart draws: `data[0]` is x, then one list for each series. */
export interface ChartProps {
  readonly label: string;
  readonly series: readonly Series[];
  readonly data: readonly (readonly (number | null)[])[];
  readonly height: number;
  /** `time`: x is epoch ms; else a plain number. */
  readonly x?: 'time' | 'number';
  readonly shape?: 'line' | 'bars';
  readonly format?: (value: number) => string;
  /** Steps of the y axis are powers of two. */
  readonly isBytes?: boolean;
  /** Words below bars, one for each x from 0 on. */
  readonly labels?: readonly string[];
}

/** A chart that fills the width it is given and keeps its height; follows light and dark. */
export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(null);
  const dark = isDark.value;
  const shape = JSON.stringify([props.series, props.height, props.x, props.shape]);
  useEffect(() => {
    const frame = box.current!;
    const made = new UPlot(optionsOf(props, frame), dataOf(props), frame);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: frame.clientWidth, height: props.height }));
    sizes.observe(frame);
    return () => {
      sizes.disconnect();
      made.destroy();
    };
  }, [shape, dark]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.data]);
  return (
    <figure class="chart">
      <figcaption class="chart-legend">
        <span class="chart-title">{props.label}</span>
        {props.series.map(({ label, color }) => (
          <span key={label} class="chart-key">
            <i class={`swatch is-${color}`} />
            {label}
          </span>
        ))}
      </figcaption>
      <div ref={box} class="chart-box" style={{ height: `${props.height}px` }} />
    </figure>
  );
}

/** The colours that layers take in turn. */
export const LAYER_COLORS: readonly string[] = ['bad', 'warn', 'accent', 'info', 'muted'];

/** The newest at the right; a page that was just opened does not stretch its first seconds. */
function atLeastHalfAMinute(_plot: UPlot, min: number, max: number): [number, number] {
  return [Math.min(min, max - 30), max];
}

const BYTE_STEPS = Array.from({ length: 40 }, (_, power) => 2 ** power);

/** Half a bar of room at both ends. */
function widen(plot: UPlot, min: number, max: number): [number, number] {
  const step = (max - min) / Math.max(1, plot.data[0].length - 1) || 1;
  return [min - step / 2, max + step / 2];
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const MINUTES = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAYS = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });
const DAY_S = 86_400;

/** Times of day in the viewer's zone, as fine as the steps between them; days where the steps are days. */
function timeAxis({ x }: ChartProps): Partial<UPlot.Axis> {
  if (x === 'number') return {};
  return {
    space: 72,
    values: (_plot, values) => {
      const stepS = (values[1] ?? 0) - (values[0] ?? 0);
      const format = stepS >= DAY_S / 2 ? DAYS : stepS >= 60 ? MINUTES : CLOCK;
      return values.map(value => format.format(value * 1000));
    },
  };
}

/** Words in place of numbers; as many as have room. */
function labelAxis(labels: readonly string[] | undefined): Partial<UPlot.Axis> {
  if (labels === undefined) return {};
  return {
    space: 58,
    incrs: [1, 2, 5, 10, 20, 50, 100, 200],
    values: (_plot, values) =>
      values.map(value => (Number.isInteger(value) ? shorten(labels[value] ?? '') : '')),
  };
}

function shorten(label: string): string {
  return label.length <= 12 ? label : `${label.slice(0, 11)}…`;
}

function dataOf({ data, x }: ChartProps): UPlot.AlignedData {
  const [first = [], ...rest] = data;
  const xs = first.map(value => (x === 'number' ? (value ?? 0) : (value ?? 0) / 1000));
  return [xs, ...rest.map(values => [...values])];
}

function optionsOf(props: ChartProps, box: HTMLElement): UPlot.Options {
  const token = (name: string): string =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const axis = {
    stroke: token('muted'),
    font: '11px Inter, system-ui, sans-serif',
    grid: { stroke: token('line'), width: 1 },
    ticks: { show: false },
  };
  const format = props.format ?? ((value: number) => String(value));
  const isBars = props.shape === 'bars';
  return {
    width: Math.max(120, box.clientWidth),
    height: props.height,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { show: true, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: props.x !== 'number', range: isBars ? widen : atLeastHalfAMinute },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.15)] },
    },
    axes: [
      { ...axis, size: 26, ...timeAxis(props), ...labelAxis(props.labels) },
      {
        ...axis,
        size: 58,
        values: (_plot, values) => values.map(value => format(value)),
        ...(props.isBytes ? { incrs: BYTE_STEPS } : {}),
      },
    ],
    series: [
      {},
      ...props.series.map(({ color }) => ({
        stroke: token(color),
        width: isBars ? 0 : 1.75,
        fill: isBars ? token(color) : `${token(color).trim()}1f`,
        points: { show: false },
        ...(isBars && UPlot.paths.bars !== undefined
          ? { paths: UPlot.paths.bars({ size: [0.72, 40] }) }
          : {}),
      })),
    ],
  };
}
