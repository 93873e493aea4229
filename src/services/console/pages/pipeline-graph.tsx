import { useMemo } from 'preact/hooks';
import type { JobDocument, PulseDocument } from '../../query/contract.ts';
import { formatCount, formatRate, formatShort } from '../model/format.ts';
import { findTopic, type GraphEdge, type GraphNode, layOut } from '../model/pipeline.ts';
import { linkTo } from '../state/place.ts';
import { beats, rateOf } from '../state/pulse.ts';

/** The pipeline as a picture: jobs and the topics at its ends, with what flows now. Each leads to its page. */
export function PipelineGraph({
  jobs,
  pulse,
}: {
  readonly jobs: readonly JobDocument[];
  readonly pulse: PulseDocument;
}) {
  const shape = pulse.topics.map(({ stored }) => (stored ? 1 : 0)).join('');
  const graph = useMemo(() => layOut(jobs, pulse), [jobs, shape]);
  return (
    <div class="graph">
      <svg
        viewBox={`0 0 ${graph.width} ${graph.height}`}
        style={{
          minWidth: `${Math.round(graph.width * 0.8)}px`,
          maxWidth: `${Math.round(graph.width * 1.25)}px`,
        }}
        aria-label="Pipeline: jobs from left to right"
        role="group"
      >
        {graph.edges.map(edge => (
          <Edge key={`${edge.from} ${edge.to}`} edge={edge} pulse={pulse} />
        ))}
        {graph.nodes.map(node =>
          node.kind === 'job' ? (
            <JobNode key={node.id} node={node} pulse={pulse} />
          ) : (
            <TopicNode key={node.id} node={node} pulse={pulse} />
          ),
        )}
      </svg>
    </div>
  );
}

function Edge({ edge, pulse }: { readonly edge: GraphEdge; readonly pulse: PulseDocument }) {
  const records = edge.topics.reduce((sum, topic) => sum + (findTopic(pulse, topic)?.records ?? 0), 0);
  const waiting = pulse.status.edges
    .filter(row => edge.topics.includes(row.topic) && `job:${row.reader}` === edge.to)
    .reduce((sum, row) => sum + row.waiting, 0);
  const target = edge.to.startsWith('job:') ? edge.to.slice(4) : edge.from.slice(4);
  const rate = rateOf(beats.value, beat => beat.received[target] ?? 0);
  const middle = edge.points[Math.floor(edge.points.length / 2)];
  return (
    <g class={`edge${records === 0 ? ' is-unused' : ''}${rate > 0 && records > 0 ? ' is-moving' : ''}`}>
      <title>{`${edge.topics.join(', ')}: ${formatCount(records)} records`}</title>
      <path d={pathOf(edge.points)} />
      {waiting === 0 || middle === undefined ? null : (
        <text x={middle.x} y={middle.y - 6} class="edge-lag">
          {formatShort(waiting)} waiting
        </text>
      )}
    </g>
  );
}

/** A smooth line through the points: each stretch ends level, as the pipeline runs. */
function pathOf(points: GraphEdge['points']): string {
  return points
    .map(({ x, y }, index) => {
      const before = points[index - 1];
      if (before === undefined) return `M${x} ${y}`;
      const middle = (before.x + x) / 2;
      return `C${middle} ${before.y} ${middle} ${y} ${x} ${y}`;
    })
    .join('');
}

function JobNode({ node, pulse }: { readonly node: GraphNode; readonly pulse: PulseDocument }) {
  const row = pulse.status.conservation.find(({ job }) => job === node.name);
  const rate = rateOf(beats.value, beat => beat.received[node.name] ?? 0);
  const [left, top] = [node.x - node.width / 2, node.y - node.height / 2];
  const setAside = [
    { count: row?.rejected ?? 0, word: 'rejected', tone: 'bad' },
    { count: row?.dropped ?? 0, word: 'dropped', tone: 'warn' },
  ].filter(({ count }) => count > 0);
  return (
    <a href={linkTo(['jobs', node.name])} class={`node is-job${row?.balanced === false ? ' is-broken' : ''}`}>
      <title>{`${node.name}: received ${formatCount(row?.received ?? 0)}`}</title>
      <rect x={left} y={top} width={node.width} height={node.height} rx="8" />
      <text x={left + 9} y={top + 20} class="node-name" {...fitted(node.name, node.width - 18)}>
        {node.name}
      </text>
      <text x={left + 9} y={top + 38} class="node-rate">
        {formatRate(rate)}/s
      </text>
      <text x={left + node.width - 9} y={top + 38} class="node-count">
        {formatShort(row?.received ?? 0)}
      </text>
      {setAside.map(({ count, word, tone }, index) => (
        <text
          key={word}
          x={setAside.length === 2 && index === 1 ? left + node.width - 9 : left + 10}
          y={top + 54}
          class={`node-aside is-${tone}${setAside.length === 2 && index === 1 ? ' is-end' : ''}`}
        >
          {formatShort(count)} {setAside.length === 2 ? word.slice(0, word === 'rejected' ? 3 : 4) : word}
        </text>
      ))}
    </a>
  );
}

/** Narrows a name that would run out of its box; one of the common letters is 7.6 units wide at its size. */
function fitted(name: string, width: number): object {
  return name.length * 7.6 <= width ? {} : { textLength: width, lengthAdjust: 'spacingAndGlyphs' };
}

function TopicNode({ node, pulse }: { readonly node: GraphNode; readonly pulse: PulseDocument }) {
  const topic = findTopic(pulse, node.name);
  // The last word tells topics apart; what is before it stands above it.
  const cut = node.name.lastIndexOf('.');
  const [left, top] = [node.x - node.width / 2, node.y - node.height / 2];
  const lag = Math.max(0, ...(topic?.groups ?? []).map(group => (group.group === 'archive' ? 0 : group.lag)));
  return (
    <a href={linkTo(['topics', node.name])} class="node is-topic">
      <title>{`topic ${node.name}`}</title>
      <rect x={left} y={top} width={node.width} height={node.height} rx="16" />
      <text x={left + 12} y={top + 19} class="node-family">
        {node.name.slice(0, cut)}
        {lag === 0 ? '' : `, ${formatShort(lag)} behind`}
      </text>
      <text x={left + 12} y={top + 36} class="node-topic">
        {node.name.slice(cut + 1)}
      </text>
      <text x={left + node.width - 12} y={top + 36} class="node-count">
        {formatShort(topic?.records ?? 0)}
      </text>
    </a>
  );
}
