import { midOf, type TelemetryEvent, textAt, withMetadata } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Item, Job, JobDeps, MarkKey, Verdict } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import { deviceKey, dropped, emission, emitted, movedCounters, rejected, verdict } from './outcomes.ts';
import { createSightings, type Sightings } from './sightings.ts';

const SKIPPED = share({ pp_duplicate_skipped: true });
const DUPLICATE = share({ pp_duplicate: true });
const COUNTS = { unique_event_count: 0, duplicate_event_count: 0, duplicate_skipped_event_count: 0 };

/**
 * Drops events of the listed producers whose `mid` was seen within the TTL; the first of equal ones is kept.
 * Events of other producers pass with `flags.pp_duplicate_skipped`; they count as unique and as skipped.
 * Source: pipeline-preprocessor of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createDedup(deps: JobDeps): Job {
  const producers = new Set(deps.options.dedup.producers);
  const isCovered = (event: TelemetryEvent): boolean =>
    producers.has(textAt(event, 'context', 'pdata', 'id') ?? '');
  return {
    name: 'dedup',
    replaces: 'pipeline-preprocessor',
    does: 'Drops events of the configured producers whose mid was seen before.',
    inputs: ['telemetry.valid'],
    outputs: ['telemetry.deduplicated', 'telemetry.duplicate', 'telemetry.failed'],
    unreadableTopic: 'telemetry.failed',
    plan(batch) {
      const marks: MarkKey[] = [];
      for (const { event } of batch) {
        const key = isCovered(event) ? midOf(event) : undefined;
        if (key !== undefined) marks.push({ space: 'event', key });
      }
      return { marks, rows: [] };
    },
    process(batch, reads) {
      const counts = { ...COUNTS };
      const sightings = createSightings('event', deps.options.dedup.ttlMs, reads);
      const verdicts = batch.map(item =>
        isCovered(item.event) ? judge(item, sightings, counts) : skip(item.event, counts),
      );
      return { verdicts, marks: sightings.marks, counters: movedCounters(counts) };
    },
  };
}

function skip(event: TelemetryEvent, counts: typeof COUNTS): Verdict {
  counts.unique_event_count += 1;
  counts.duplicate_skipped_event_count += 1;
  return pass(withFlags(event, SKIPPED));
}

function pass(event: TelemetryEvent): Verdict {
  return verdict(emitted(emission('telemetry.deduplicated', deviceKey(event), event)));
}

function judge(item: Item, sightings: Sightings, counts: typeof COUNTS): Verdict {
  const { event } = item;
  const mid = midOf(event);
  if (mid === undefined) {
    const failed = withMetadata(event, { validation_error: '/mid', src: 'PipelinePreprocessor' });
    const fault = { code: 'ERR_DEDUP_KEY_MISSING', reason: 'the event has no mid', pointer: '/mid' } as const;
    return verdict(rejected(fault, emission('telemetry.failed', deviceKey(event), failed)));
  }
  if (sightings.isSeen(mid, item)) {
    counts.duplicate_event_count += 1;
    const copy = withFlags(event, DUPLICATE);
    const kept = emission('telemetry.duplicate', deviceKey(event), copy);
    return verdict(dropped('ERR_DUPLICATE', 'an event of this mid was received before', kept));
  }
  sightings.add(mid, item);
  counts.unique_event_count += 1;
  return pass(event);
}
