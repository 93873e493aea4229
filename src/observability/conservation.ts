import type { ConservationRow, EdgeRow, GroupLag, TopicDocument } from '../core/documents.ts';
import type { Job } from '../core/job.ts';
import type { GroupProgress, LogState, QuarantinedRange } from '../core/ports.ts';
import { fullTopic, TOPICS, topicKind } from '../core/topics.ts';

/** What the accounts are made from: the log's state, and who reads what. */
export interface Ledger {
  readonly environment: string;
  readonly state: LogState;
  readonly jobs: readonly Job[];
  /** Consumer groups with the topics they read, without prefix. */
  readonly groups: readonly { readonly group: string; readonly topics: readonly string[] }[];
  /** Whether a topic (without prefix) is stored, or only counted. */
  isStored(topic: string): boolean;
}

/** First law, per job: received = emitted + rejected + dropped. Derived events are counted apart. */
export function conservationRows(ledger: Ledger): readonly ConservationRow[] {
  return ledger.jobs.map(({ name }) => {
    const count = (what: string) => ledger.state.counters[`${name}.${what}`] ?? 0;
    const [received, emitted, rejected, dropped] = [
      count('received'),
      count('emitted'),
      count('rejected'),
      count('dropped'),
    ];
    const balanced = received === emitted + rejected + dropped;
    return { job: name, received, emitted, rejected, dropped, derived: count('derived'), balanced };
  });
}

/**
 * Second law, per topic and the job that reads it: emitted = received + waiting. Offsets that damage took
 * (`quarantined`) may lie between the two sides, and are the only thing that may.
 */
export function edgeRows(ledger: Ledger): readonly EdgeRow[] {
  return ledger.jobs.flatMap(job =>
    job.inputs.map(topic => {
      const received = ledger.state.counters[`edge.${job.name}.${topic}`] ?? 0;
      const reader = ledger.groups.find(
        ({ group, topics }) => group.startsWith('chain.') && topics.includes(topic),
      );
      const emitted = emittedTo(ledger, topic);
      const waiting = reader === undefined ? 0 : lagOf(ledger, reader.group, topic);
      const missing = emitted - received - waiting;
      const lost = quarantinedIn(ledger.state.quarantined, fullTopic(ledger.environment, topic));
      return {
        topic,
        reader: job.name,
        emitted,
        received,
        waiting,
        balanced: missing >= 0 && missing <= lost,
      };
    }),
  );
}

/** Every topic with its count, whether it is stored or not, and the lag of the groups that read it. */
export function topicDocuments(ledger: Ledger): readonly TopicDocument[] {
  const names = Object.keys(TOPICS).filter(name => topicKind(name) !== 'internal');
  return names.map(name => {
    const stored = ledger.isStored(name);
    const partitions = stored ? partitionsOf(ledger, name) : [];
    return {
      topic: fullTopic(ledger.environment, name),
      records: emittedTo(ledger, name),
      stored,
      bytes: partitions.reduce((sum, partition) => sum + partition.bytes, 0),
      partitions: partitions.map(({ partition, startOffset, endOffset }) => ({
        partition,
        startOffset,
        endOffset,
      })),
      groups: stored ? groupLags(ledger, name) : [],
    };
  });
}

function groupLags(ledger: Ledger, topic: string): readonly GroupLag[] {
  return ledger.groups
    .filter(({ topics }) => topics.includes(topic))
    .map(({ group }) => ({ group, lag: lagOf(ledger, group, topic) }));
}

/**
 * Records ever put on a topic. What lies between jobs is counted where it is emitted, so that the count is
 * the same whether it was stored or not; the others are counted by the log.
 */
function emittedTo(ledger: Ledger, topic: string): number {
  if (topicKind(topic) === 'between') return ledger.state.counters[`topic.${topic}`] ?? 0;
  return partitionsOf(ledger, topic).reduce((sum, partition) => sum + partition.records, 0);
}

function partitionsOf(ledger: Ledger, topic: string) {
  const name = fullTopic(ledger.environment, topic);
  return ledger.state.topics.find(entry => entry.topic === name)?.partitions ?? [];
}

/** How far a group has come in a partition of a stored topic. */
export interface Standing {
  readonly group: string;
  /** Without prefix. */
  readonly topic: string;
  readonly partition: number;
  /** Where the group reads next. */
  readonly offset: number;
  /** Records that it has not passed yet, quarantined offsets left out. */
  readonly waiting: number;
}

/** Every group in every partition that it reads. */
export function standingsOf(ledger: Ledger): readonly Standing[] {
  return ledger.groups.flatMap(({ group, topics }) =>
    topics.flatMap(topic => groupStandings(ledger, group, topic)),
  );
}

function groupStandings(ledger: Ledger, group: string, topic: string): readonly Standing[] {
  const name = fullTopic(ledger.environment, topic);
  return partitionsOf(ledger, topic).map(({ partition, startOffset, endOffset, records, isCounted }) => {
    const isIt = (offset: GroupProgress) =>
      offset.group === group && offset.topic === name && offset.partition === partition;
    const progress = ledger.state.offsets.find(isIt);
    const offset = progress?.offset ?? startOffset;
    const standing = { group, topic, partition, offset };
    if (isCounted === true) return { ...standing, waiting: Math.max(0, records - (progress?.passed ?? 0)) };
    const ranges = ledger.state.quarantined.filter(range => range.partition === partition);
    const lost = quarantinedIn(ranges, name, offset);
    return { ...standing, waiting: Math.max(0, endOffset - offset - lost) };
  });
}

/** Records that a group has not passed yet. */
function lagOf(ledger: Ledger, group: string, topic: string): number {
  return groupStandings(ledger, group, topic).reduce((sum, { waiting }) => sum + waiting, 0);
}

function quarantinedIn(ranges: readonly QuarantinedRange[], topic: string, fromOffset = 0): number {
  return ranges
    .filter(range => range.topic === topic)
    .reduce((sum, range) => sum + Math.max(0, range.toOffset - Math.max(range.fromOffset, fromOffset)), 0);
}
