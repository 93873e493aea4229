import type { Job } from '../core/job.ts';
import type { GroupOffset, Log, LogState } from '../core/ports.ts';
import { bareTopic, fullTopic, topicKind } from '../core/topics.ts';
import { groupOf, type Layout, type Segment, segmentFrom } from './segments.ts';

/**
 * Offset of a group that no longer reads: its job was fused into the segment before. What is stored on its
 * topics from then on (`topics.store=all`) has been processed already.
 */
const RETIRED_OFFSET = Number.MAX_SAFE_INTEGER;

/**
 * Compares the layout with the one that ran before, from the offsets of the groups. Answers what must be worked
 * off, to the end of its topics, before the new layout starts; afterwards {@link adoptLayout} makes it current.
 */
export function remaindersOf(
  layout: Layout,
  ledger: { readonly jobs: readonly Job[]; readonly environment: string; readonly state: LogState },
): readonly Segment[] {
  const starts = layout.segments.map(segment => segment.jobs[0]!);
  return ledger.jobs
    .filter(job => !starts.includes(job))
    .flatMap(job => {
      const open = openOffsets(groupOf(job), ledger.state);
      if (open.length === 0) return [];
      const inputs = [...new Set(open.map(({ topic }) => bareTopic(ledger.environment, topic)))];
      return [{ ...segmentFrom(job, ledger.jobs, [...starts, job]), inputs }];
    });
}

/**
 * Makes a layout the current one, durably and before anything runs: groups it does not have are retired, and
 * a group that begins to read a topic between jobs begins at its end, as what lies there is processed.
 */
export async function adoptLayout(
  log: Log,
  layout: Layout,
  ledger: { readonly jobs: readonly Job[]; readonly environment: string },
): Promise<void> {
  const state = await log.describe();
  const groups = new Set(layout.segments.map(segment => segment.group));
  const retired = state.offsets
    .filter(
      ({ group, offset }) =>
        ledger.jobs.some(job => groupOf(job) === group) && !groups.has(group) && offset !== RETIRED_OFFSET,
    )
    .map(offset => ({ ...offset, offset: RETIRED_OFFSET }));
  const beginning = layout.segments.flatMap(segment => beginningOffsets(segment, ledger.environment, state));
  const offsets = [...retired, ...beginning];
  if (offsets.length > 0) await log.commit({ appends: [], offsets });
}

function openOffsets(group: string, state: LogState) {
  return state.offsets
    .filter(offset => offset.group === group)
    .filter(offset => offset.offset < endOf(state, offset));
}

function beginningOffsets(segment: Segment, environment: string, state: LogState): readonly GroupOffset[] {
  return segment.inputs
    .filter(name => topicKind(name) === 'between')
    .flatMap(name => state.topics.filter(({ topic }) => topic === fullTopic(environment, name)))
    .flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, endOffset }) => ({
        group: segment.group,
        topic,
        partition,
        offset: endOffset,
      })),
    )
    .filter(({ group, topic, partition }) => {
      const current = state.offsets.find(
        at => at.group === group && at.topic === topic && at.partition === partition,
      );
      return current === undefined || current.offset === RETIRED_OFFSET;
    });
}

function endOf(state: LogState, { topic, partition }: GroupOffset): number {
  const found = state.topics.find(entry => entry.topic === topic)?.partitions;
  return found?.find(entry => entry.partition === partition)?.endOffset ?? 0;
}
