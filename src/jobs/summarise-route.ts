import { midOf } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Item, Job, JobDeps, MarkKey, Outcome, Reads, Verdict } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import { createDenormaliser, DENORMALISE_COUNTS, type Denormaliser } from './denormalise-event.ts';
import { deviceKey, dropped, emission, emitted, movedCounters, verdict } from './outcomes.ts';
import { CHECK_COUNTS, checkRouted } from './routed-check.ts';
import { createSightings, type Sightings } from './sightings.ts';

const DUPLICATE = share({ summary_denorm_duplicate: true });
const UNIQUE = share({ summary_denorm_duplicate: false });
const COUNTS = {
  ...DENORMALISE_COUNTS,
  ...CHECK_COUNTS,
  unique_event_count: 0,
  duplicate_event_count: 0,
  summary_route_success_count: 0,
};

/** What the verdicts on one batch share. */
interface Pass {
  readonly deps: JobDeps;
  readonly denormaliser: Denormaliser;
  readonly reads: Reads;
  readonly sightings: Sightings;
  readonly counts: typeof COUNTS;
}

/**
 * The branch of derived events: drops summaries whose `mid` was seen, keeps a copy of every other one on
 * `telemetry.derived.unique`, denormalises, checks and routes them. A summary without mid is taken as unique; one that
 * is rejected leaves no mark.
 * Source: summary-denormalization of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createSummariseRoute(deps: JobDeps): Job {
  const denormaliser = createDenormaliser(deps.options.denormalise);
  return {
    name: 'summarise-route',
    replaces: 'summary-denormalization',
    does: 'Removes duplicates of derived events, adds master data, checks and routes them.',
    inputs: ['telemetry.derived'],
    outputs: ['telemetry.derived.unique', 'druid.events.summary', 'telemetry.duplicate', 'telemetry.failed'],
    unreadableTopic: 'telemetry.failed',
    plan(batch) {
      const marks: MarkKey[] = [];
      for (const { event } of batch) {
        const key = midOf(event);
        if (key !== undefined) marks.push({ space: 'summary', key });
      }
      return { marks, rows: denormaliser.rowsFor(batch) };
    },
    process(batch, reads) {
      const counts = { ...COUNTS };
      const sightings = createSightings('summary', deps.options.dedup.ttlMs, reads);
      const pass: Pass = { deps, denormaliser, reads, sightings, counts };
      const verdicts = batch.map(item => judge(item, pass));
      return { verdicts, marks: sightings.marks, counters: movedCounters(counts) };
    },
  };
}

function judge(item: Item, pass: Pass): Verdict {
  const { sightings, counts } = pass;
  const mid = midOf(item.event);
  const key = deviceKey(item.event);
  if (mid !== undefined && sightings.isSeen(mid, item)) {
    counts.duplicate_event_count += 1;
    const copy = withFlags(item.event, DUPLICATE);
    const kept = emission('telemetry.duplicate', key, copy);
    return verdict(dropped('ERR_DUPLICATE', 'a summary of this mid was received before', kept));
  }
  counts.unique_event_count += 1;
  const event = withFlags(item.event, UNIQUE);
  const unique = emission('telemetry.derived.unique', key, event);
  const outcome = routeSummary({ ...item, event }, key, pass);
  if (mid !== undefined && outcome.kind !== 'reject') sightings.add(mid, item);
  if (outcome.kind !== 'emit') return verdict(outcome, [unique]);
  return verdict(emitted(unique, ...outcome.emissions));
}

function routeSummary(item: Item, key: string | null, pass: Pass): Outcome {
  const { deps, denormaliser, reads, counts } = pass;
  const refusal = denormaliser.refusalOf(item, counts);
  if (refusal !== undefined) return refusal;
  const event = denormaliser.denormalise(item, reads, counts);
  const checked = deps.options.route.validation
    ? checkRouted(event, key, { schemas: deps.schemas, counts })
    : { event };
  if ('kind' in checked) return checked;
  counts.summary_route_success_count += 1;
  return emitted(emission('druid.events.summary', key, checked.event));
}
