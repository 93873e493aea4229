import type { SightingDocument, StageDocument } from '../../core/documents.ts';
import { JOB_NAMES, type JobName } from '../../core/job.ts';
import { parseSource, type Source } from '../../core/record.ts';
import { bareTopic, fullTopic } from '../../core/topics.ts';
import { lineOf } from './archive-rows.ts';

const POSITION = 'eid, topic, partition, "offset", job, source, received_at';
const CAUSE = `${POSITION}, code, reason, pointer`;

/** The relations that tell of an event, with the columns that a {@link TraceRow} is made from. */
export const TRACE_RELATIONS = [
  { relation: 'events', columns: POSITION },
  { relation: 'failed', columns: CAUSE },
  { relation: 'duplicates', columns: CAUSE },
  { relation: 'dropped', columns: CAUSE },
  { relation: 'audit', columns: POSITION },
  { relation: 'assess', columns: POSITION },
] as const;

/** One record in which an event came out of the chain. */
export interface TraceRow {
  readonly relation: (typeof TRACE_RELATIONS)[number]['relation'];
  readonly eid: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly job: string | null;
  readonly source: string | null;
  readonly receivedAtMs: number;
  readonly code: string | null;
  readonly reason: string | null;
  readonly pointer: string | null;
}

/** An archive object that may hold a record, with the offsets of its lines as `[from, to)` runs. */
export interface ArchivedPosition {
  readonly object: string;
  readonly runs: readonly (readonly [number, number])[];
}

/** What a path is told from besides the rows. */
export interface TraceContext {
  readonly environment: string;
  readonly redactEids: readonly string[];
  archived(row: TraceRow): readonly ArchivedPosition[];
}

const MAIN_JOBS: readonly string[] = JOB_NAMES.filter(job => job !== 'summarise-route');
/** The jobs that made these events from others: their path begins there. */
const BORN_IN: Readonly<Record<string, JobName>> = { SHARE_ITEM: 'flatten' };

/**
 * Puts the records of an event together to one sighting per arrival, oldest first. Only where an event ended is
 * stored; the jobs before follow from it, because each lets an event pass in one way only. Copies that left on
 * the way (audit, unredacted assessments) are stages of their own, after the job that made them.
 */
export function sightingsOf(rows: readonly TraceRow[], context: TraceContext): readonly SightingDocument[] {
  const bySource = new Map<string, TraceRow[]>();
  for (const row of rows) {
    const source = row.source ?? `${row.topic}:${row.partition}:${row.offset}:0`;
    const known = bySource.get(source);
    if (known === undefined) bySource.set(source, [row]);
    else known.push(row);
  }
  return [...bySource.entries()]
    .map(([source, group]) => sightingOf(sourceOf(source, group, context), group, context))
    .sort(
      (a, b) =>
        a.receivedAtMs - b.receivedAtMs ||
        a.source.offset - b.source.offset ||
        a.source.index - b.source.index,
    );
}

function sourceOf(text: string, [row]: readonly TraceRow[], { environment }: TraceContext): Source {
  const source = parseSource(text);
  if (source === undefined)
    return { topic: row!.topic, partition: row!.partition, offset: row!.offset, index: 0 };
  return { ...source, topic: fullTopic(environment, bareTopic(environment, source.topic)) };
}

function sightingOf(source: Source, rows: readonly TraceRow[], context: TraceContext): SightingDocument {
  const isCopy = (row: TraceRow): boolean => row.relation === 'audit' || row.relation === 'assess';
  const ends = rows.filter(row => !isCopy(row));
  // Where only a copy is known so far, its job is as far as the event is known to have come.
  const last = ends[0] ?? rows[0]!;
  const stages: StageDocument[] = [];
  for (const job of jobsBefore(last, source, context)) {
    stages.push(passedStage(job, last));
    stages.push(...rows.filter(row => isCopy(row) && row.job === job && row !== last).map(endStage));
  }
  stages.push(...(ends.length > 0 ? ends : [last]).map(endStage));
  return {
    receivedAtMs: last.receivedAtMs,
    source: { topic: source.topic, partition: source.partition, offset: source.offset, index: source.index },
    stages,
    archive: rows.flatMap(row => archiveOf(row, context)),
  };
}

/** The jobs that let the event pass before the one it ended in. */
function jobsBefore(last: TraceRow, source: Source, context: TraceContext): readonly string[] {
  if (bareTopic(context.environment, source.topic) === 'telemetry.derived') return [];
  const end = MAIN_JOBS.indexOf(last.job ?? '');
  const born = MAIN_JOBS.indexOf(BORN_IN[last.eid ?? ''] ?? '');
  return MAIN_JOBS.slice(Math.max(0, born), Math.max(0, end)).filter(
    job => job !== 'redact' || context.redactEids.includes(last.eid ?? ''),
  );
}

function passedStage(job: string, last: TraceRow): StageDocument {
  return {
    stage: job,
    timeMs: last.receivedAtMs,
    topic: null,
    partition: null,
    offset: null,
    outcome: 'emit',
    code: null,
    reason: null,
    pointer: null,
  };
}

function endStage(row: TraceRow): StageDocument {
  return {
    stage: row.job ?? '',
    timeMs: row.receivedAtMs,
    topic: row.topic,
    partition: row.partition,
    offset: row.offset,
    outcome: outcomeOf(row),
    code: row.code,
    reason: row.reason,
    pointer: row.pointer,
  };
}

function outcomeOf(row: TraceRow): StageDocument['outcome'] {
  if (row.relation === 'failed') return 'reject';
  return row.relation === 'duplicates' || row.relation === 'dropped' ? 'drop' : 'emit';
}

function archiveOf(row: TraceRow, context: TraceContext): SightingDocument['archive'] {
  return context.archived(row).flatMap(({ object, runs }) => {
    const line = lineOf(
      runs.map(([fromOffset, toOffset]) => ({ fromOffset, toOffset })),
      row.offset,
    );
    return line === undefined ? [] : [{ object, line }];
  });
}
