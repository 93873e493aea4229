import type { Job } from '../core/job.ts';
import type { GroupOffset, Log } from '../core/ports.ts';
import { bareTopic, fullTopic, topicKind } from '../core/topics.ts';
import { groupOf, type Layout, type Segment, segmentFrom } from './segments.ts';

/**
 * Offset of a group that no longer reads: its job was fused into the segment before. What is stored on its
 * topics from then on (`topics.store=all`) has been processed already.
 */
const RETIRED_OFFSET = Number.MAX_SAFE_INTEGER;

/** What a layout becomes the current one with. */
export interface LayoutChange {
  readonly log: Log;
  readonly layout: Layout;
  /** All stream jobs, in pipeline order. */
  readonly jobs: readonly Job[];
  readonly environment: string;
  /** Runs a segment until it has read to the end of its topics; `isStored` goes for this run of it. */
  drain(segment: Segment, isStored: (topic: string) => boolean): Promise<void>;
}

/**
 * Makes a layout the current one before anything of it runs; call it at every start. Between jobs, one group at
 * most reads a topic, from the first record that it has not processed:
 *
 * 1. A topic that the layout reads goes to its group at the offset of the group that read it before, else at
 *    its end: what was stored there while nobody read it has been processed. One commit does it for all.
 * 2. A topic that the layout does not read, but a group still does, is worked off, in pipeline order.
 * 3. Groups of such topics are retired.
 *
 * A crash at any place leaves a state that the next change starts from in the same way, to whatever layout.
 */
export async function changeLayout(change: LayoutChange): Promise<void> {
  await handOver(change);
  const left = (await readersOf(change)).filter(row => !isRead(change, row));
  if (left.length === 0) return;
  const topics = new Set(left.map(row => bareTopic(change.environment, row.topic)));
  const isStored = (topic: string) => topics.has(topic) || change.layout.isStored(topic);
  for (const segment of segmentsOf(change, left)) await change.drain(segment, isStored);
  await change.log.commit({ appends: [], offsets: left.map(retired) });
}

/** Gives every topic that the layout reads to the group that reads it in the layout. */
async function handOver(change: LayoutChange): Promise<void> {
  const { log, layout, environment } = change;
  const readers = await readersOf(change);
  const { topics } = await log.describe();
  const offsets: GroupOffset[] = [];
  for (const { group, inputs } of layout.segments) {
    const read = new Set(inputs.filter(isBetween).map(name => fullTopic(environment, name)));
    for (const { topic, partitions } of topics.filter(entry => read.has(entry.topic))) {
      for (const { partition, endOffset } of partitions) {
        const known = readers.filter(row => row.topic === topic && row.partition === partition);
        if (known.some(row => row.group === group)) continue;
        const offset = known[0]?.offset ?? endOffset;
        offsets.push({ group, topic, partition, offset }, ...known.map(retired));
      }
    }
  }
  if (offsets.length > 0) await log.commit({ appends: [], offsets });
}

/** The segments that work off topics: each begins at a job that reads some, and ends where another one begins. */
function segmentsOf(
  { layout, jobs, environment }: LayoutChange,
  left: readonly GroupOffset[],
): readonly Segment[] {
  const nameOf = (row: GroupOffset) => bareTopic(environment, row.topic);
  const readers = jobs.filter(job => left.some(row => job.inputs.includes(nameOf(row))));
  const starts = [...layout.segments.map(segment => segment.jobs[0]!), ...readers];
  return readers.flatMap(job => {
    const rows = left.filter(row => job.inputs.includes(nameOf(row)));
    return [...new Set(rows.map(row => row.group))].map(group => {
      const inputs = [...new Set(rows.filter(row => row.group === group).map(nameOf))];
      return { ...segmentFrom(job, jobs, starts), group, inputs };
    });
  });
}

/** Offsets of the jobs' groups on the topics between jobs, but for retired ones. */
async function readersOf({ log, jobs, environment }: LayoutChange): Promise<readonly GroupOffset[]> {
  const groups = new Set(jobs.map(groupOf));
  const { offsets } = await log.describe();
  return offsets.filter(
    ({ group, topic, offset }) =>
      groups.has(group) && offset !== RETIRED_OFFSET && isBetween(bareTopic(environment, topic)),
  );
}

function isRead({ layout, environment }: LayoutChange, row: GroupOffset): boolean {
  return layout.segments.some(
    ({ group, inputs }) => group === row.group && inputs.includes(bareTopic(environment, row.topic)),
  );
}

function isBetween(name: string): boolean {
  return topicKind(name) === 'between';
}

function retired(row: GroupOffset): GroupOffset {
  return { ...row, offset: RETIRED_OFFSET };
}
