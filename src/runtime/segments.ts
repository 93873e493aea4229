import type { Job } from '../core/job.ts';
import { TOPICS, topicKind } from '../core/topics.ts';

/** Jobs that run as one pass under one consumer group. */
export interface Segment {
  /** The consumer group: `chain.<first job>`. */
  readonly group: string;
  readonly jobs: readonly Job[];
  /** Topics it reads from the log, without prefix. */
  readonly inputs: readonly string[];
}

/** How the jobs are laid out: which run together, and which topics are stored. */
export interface Layout {
  readonly segments: readonly Segment[];
  isStored(topic: string): boolean;
}

/** The consumer group of the segment that starts at a job. */
export function groupOf(job: Job): string {
  return `chain.${job.name}`;
}

/**
 * Cuts the main line of jobs before each job of `chain.split`; the topics that such a job reads are stored.
 * `summarise-route` is a line of its own.
 * @param split  names of jobs, as src/config/check.ts has looked at them
 */
export function planLayout(jobs: readonly Job[], split: readonly string[], store: string): Layout {
  const starts = jobs.filter(
    (job, i) =>
      i === 0 || split.includes(job.name) || job.inputs.every(topic => topicKind(topic) === 'input'),
  );
  const segments = starts.map(first => segmentFrom(first, jobs, starts));
  const stored = new Set(segments.flatMap(segment => segment.inputs));
  return {
    segments,
    isStored: topic => store === 'all' || topicKind(topic) !== 'between' || stored.has(topic),
  };
}

/** The segment that begins at a job and ends before the next start (or the next line's first job). */
export function segmentFrom(first: Job, jobs: readonly Job[], starts: readonly Job[]): Segment {
  const from = jobs.indexOf(first);
  const end = jobs.findIndex((job, i) => i > from && starts.includes(job));
  const members = jobs.slice(from, end === -1 ? jobs.length : end);
  return { group: groupOf(first), jobs: members, inputs: inputsOf(members, jobs) };
}

/** Topics the members read that none of them writes: they come from the log. */
function inputsOf(members: readonly Job[], jobs: readonly Job[]): readonly string[] {
  const made = new Set(members.flatMap(job => job.outputs));
  const madeBefore = new Set(jobs.slice(0, jobs.indexOf(members[0]!)).flatMap(job => job.outputs));
  const topics = members.flatMap(job => job.inputs);
  return [...new Set(topics)].filter(topic => !made.has(topic) || madeBefore.has(topic));
}

/** Topics that the archive keeps, without prefix: everything that is stored but the product's own notes. */
export function archivedTopics(layout: Layout): readonly string[] {
  return Object.keys(TOPICS).filter(name => topicKind(name) !== 'internal' && layout.isStored(name));
}
