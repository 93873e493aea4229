import { Graph, layout } from '@dagrejs/dagre';
import type { JobDocument, PulseDocument, TopicDocument } from '../../query/contract.ts';
import { bareName } from './format.ts';

/** A job or a topic at its place; x and y are its centre. */
export interface GraphNode {
  readonly id: string;
  readonly kind: 'job' | 'topic';
  /** Bare name. */
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** From one node to the next; `topics` are bare names of what flows. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly topics: readonly string[];
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The pipeline laid out from left to right; sizes in pixels. */
export interface PipelineGraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly width: number;
  readonly height: number;
}

/** Where nearly every job sends what it sets aside: as edges they would cover everything, so jobs show counts. */
const SET_ASIDE = /(?:^|\.)(?:failed|duplicate|dropped)$/;
const JOB = { width: 114, height: 64 };
const TOPIC = { width: 114, height: 48 };

/**
 * Lays the pipeline out: jobs in the order of their topics, what comes in at the left, what leaves at the right.
 * A topic between two jobs is an edge; topics that nobody reads and nobody stores are left out.
 */
export function layOut(jobs: readonly JobDocument[], pulse: PulseDocument): PipelineGraph {
  const { environment } = pulse.status;
  const stored = new Set(
    pulse.topics.filter(topic => topic.stored).map(topic => bareName(environment, topic.topic)),
  );
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 22, ranksep: 26, marginx: 2, marginy: 2 });
  graph.setDefaultEdgeLabel(() => ({}));
  const flows = new Map<string, { from: string; to: string; topics: string[] }>();
  const flow = (from: string, to: string, topic: string): void => {
    const known = flows.get(`${from} ${to}`) ?? { from, to, topics: [] };
    known.topics.push(topic);
    flows.set(`${from} ${to}`, known);
  };
  const isWritten = (topic: string): boolean => jobs.some(job => job.outputs.includes(topic));
  // Topics of several writers first: the layout then finds an order in which no line crosses another.
  const writers = (topic: string): number => jobs.filter(job => job.outputs.includes(topic)).length;
  for (const job of jobs) {
    graph.setNode(`job:${job.job}`, { ...JOB });
    for (const topic of job.inputs.filter(name => !isWritten(name)))
      flow(`topic:${topic}`, `job:${job.job}`, topic);
    for (const topic of job.outputs
      .filter(name => !SET_ASIDE.test(name))
      .sort((a, b) => writers(b) - writers(a))) {
      const readers = jobs.filter(({ inputs }) => inputs.includes(topic));
      for (const reader of readers) flow(`job:${job.job}`, `job:${reader.job}`, topic);
      if (readers.length === 0 && stored.has(topic)) flow(`job:${job.job}`, `topic:${topic}`, topic);
    }
  }
  for (const { from, to } of flows.values()) {
    for (const id of [from, to]) if (id.startsWith('topic:')) graph.setNode(id, { ...TOPIC });
    // The main line is drawn straight; what branches off bends.
    graph.setEdge(from, to, { weight: from.startsWith('job:') && to.startsWith('job:') ? 4 : 1 });
  }
  layout(graph);
  return readGraph(graph, [...flows.values()]);
}

function readGraph(graph: Graph, flows: readonly Omit<GraphEdge, 'points'>[]): PipelineGraph {
  const nodes = graph.nodes().map(id => {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id);
    const kind = id.startsWith('job:') ? ('job' as const) : ('topic' as const);
    return { id, kind, name: id.slice(id.indexOf(':') + 1), x, y, width, height };
  });
  const edges = flows.map(flow => {
    const between = (graph.edge(flow.from, flow.to).points ?? []).slice(1, -1);
    const [from, to] = [graph.node(flow.from), graph.node(flow.to)];
    // Every line leaves at the middle of the right side and arrives at the middle of the left.
    const start = { x: (from.x ?? 0) + (from.width ?? 0) / 2, y: from.y ?? 0 };
    const end = { x: (to.x ?? 0) - (to.width ?? 0) / 2, y: to.y ?? 0 };
    return { ...flow, points: [start, ...around(between, start, end), end] };
  });
  const { width = 0, height = 0 } = graph.graph();
  return { nodes, edges, width, height };
}

/** Room on either side of a column in which a line changes its height, pixels. */
const BEND = 18;

/** A line passes each column that it only crosses level, so that it runs between the nodes and not under them. */
function around(bends: readonly Point[], start: Point, end: Point): readonly Point[] {
  const half = TOPIC.width / 2;
  return bends
    .filter(({ x }) => x - half > start.x && x + half < end.x)
    .flatMap(({ x, y }) => [
      { x: Math.max(start.x + BEND, x - half), y },
      { x: Math.min(end.x - BEND, x + half), y },
    ]);
}

/** Why events were dropped by a job, as counters tell; shown beside the count. */
export function dropReasons(
  pulse: PulseDocument,
  job: string,
): readonly { readonly why: string; readonly count: number }[] {
  const counters = pulse.status.counters;
  const reasons = [
    { why: 'not denormalised (denormalise.skipEids)', count: counters[`${job}.events_skipped`] ?? 0 },
    { why: 'expired', count: counters[`${job}.events_expired`] ?? 0 },
  ];
  const dropped = pulse.status.conservation.find(row => row.job === job)?.dropped ?? 0;
  const duplicates = dropped - reasons.reduce((sum, { count }) => sum + count, 0);
  return [...reasons, { why: 'duplicate', count: duplicates }].filter(({ count }) => count > 0);
}

/** The topic of a bare name. */
export function findTopic(pulse: PulseDocument, name: string): TopicDocument | undefined {
  return pulse.topics.find(({ topic }) => bareName(pulse.status.environment, topic) === name);
}
