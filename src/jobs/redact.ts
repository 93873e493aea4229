import { eidOf, objectAt, type TelemetryEvent, textAt } from '../core/event.ts';
import type { CacheKey, Item, Job, JobDeps, Reads, Verdict } from '../core/job.ts';
import { deviceKey, emission, emitted, movedCounters, verdict } from './outcomes.ts';

const COUNTS = { skipped_event_count: 0, cache_hit_count: 0, cache_miss_count: 0 };

/**
 * Empties the answers to registration questions (names, phone numbers) before the event goes on; a copy of it as it
 * came goes to `telemetry.assess.raw` and nowhere else. An event that names no question is counted as skipped
 * and passes as it is; events of other eids pass uncounted.
 * Source: the redactor of telemetry-extractor of the original.
 */
export function createRedact(deps: JobDeps): Job {
  const eids = new Set(deps.options.redact.eids);
  return {
    name: 'redact',
    replaces: 'telemetry-extractor',
    does: 'Empties the answers to registration questions; keeps the unredacted event apart.',
    inputs: ['telemetry.assess.redact'],
    outputs: ['telemetry.raw', 'telemetry.assess.raw'],
    unreadableTopic: 'telemetry.failed',
    plan(batch) {
      const rows: CacheKey[] = [];
      for (const { event } of batch) {
        const key = eids.has(eidOf(event) ?? '') ? questionIdOf(event) : undefined;
        if (key !== undefined) rows.push({ dataset: 'content', key });
      }
      return { marks: [], rows };
    },
    process(batch, reads) {
      const counts = { ...COUNTS };
      const verdicts = batch.map(item =>
        eids.has(eidOf(item.event) ?? '') ? redact(item, reads, counts) : pass(item.event),
      );
      return { verdicts, marks: [], counters: movedCounters(counts) };
    },
  };
}

/** ASSESS asks `edata.item`, every other eid `edata.target`. */
function questionIdOf(event: TelemetryEvent): string | undefined {
  return textAt(event, 'edata', isAssess(event) ? 'item' : 'target', 'id');
}

function isAssess(event: TelemetryEvent): boolean {
  return event['eid'] === 'ASSESS';
}

function pass(event: TelemetryEvent): Verdict {
  return verdict(emitted(emission('telemetry.raw', deviceKey(event), event)));
}

function redact({ event }: Item, reads: Reads, counts: typeof COUNTS): Verdict {
  const key = questionIdOf(event);
  if (key === undefined) {
    counts.skipped_event_count += 1;
    return pass(event);
  }
  const questionType = textAt(reads.row({ dataset: 'content', key }), 'questionType');
  // A cached question that does not tell its type counts as a miss, as in the original.
  if (questionType === undefined) counts.cache_miss_count += 1;
  else counts.cache_hit_count += 1;
  if (questionType?.toLowerCase() !== 'registration') return pass(event);
  const answers = isAssess(event) ? 'resvalues' : 'values';
  const redacted = { ...event, edata: { ...objectAt(event, 'edata'), [answers]: [] } };
  const device = deviceKey(event);
  return verdict(emitted(emission('telemetry.raw', device, redacted)), [
    emission('telemetry.assess.raw', device, event),
  ]);
}
