import { midOf } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Item, Job, JobDeps, MarkKey, Verdict } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import type { TopicName } from '../core/topics.ts';
import { dropped, emission, emitted, type Fault, movedCounters, verdict } from './outcomes.ts';
import { CHECK_COUNTS, checkRouted, rejectRouted } from './routed-check.ts';
import { createSightings, type Sightings } from './sightings.ts';

const DUPLICATE = share({ dv_duplicate: true });
const COUNTS = {
  ...CHECK_COUNTS,
  unique_event_count: 0,
  duplicate_event_count: 0,
  telemetry_route_success_count: 0,
  summary_route_success_count: 0,
  error_route_success_count: 0,
};

const NO_MID: Fault = { code: 'ERR_DEDUP_KEY_MISSING', reason: 'the event has no mid', pointer: '/mid' };

/**
 * The last job: drops events of any producer whose `mid` was seen, checks the others, and routes them to the topic
 * that is queried. An event that fails the check leaves no mark, so it passes once corrected and replayed; one
 * without mid is rejected (the original called it a duplicate).
 * Source: druid-events-validator of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createRoute(deps: JobDeps): Job {
  const { deduplication } = deps.options.route;
  return {
    name: 'route',
    replaces: 'druid-events-validator',
    does: 'Removes the remaining duplicates, checks denormalised events, routes them to their last topic.',
    inputs: ['telemetry.denorm', 'telemetry.denorm.error'],
    outputs: [
      'druid.events.telemetry',
      'druid.events.summary',
      'druid.events.error',
      'telemetry.duplicate',
      'telemetry.failed',
    ],
    unreadableTopic: 'telemetry.failed',
    plan(batch) {
      const marks: MarkKey[] = [];
      for (const { event } of deduplication ? batch : []) {
        const key = midOf(event);
        if (key !== undefined) marks.push({ space: 'route', key });
      }
      return { marks, rows: [] };
    },
    process(batch, reads) {
      const counts = { ...COUNTS };
      const sightings = createSightings('route', deps.options.dedup.ttlMs, reads);
      const verdicts = batch.map(item => route(item, deps, sightings, counts));
      return { verdicts, marks: sightings.marks, counters: movedCounters(counts) };
    },
  };
}

function route(item: Item, deps: JobDeps, sightings: Sightings, counts: typeof COUNTS): Verdict {
  const { validation, deduplication } = deps.options.route;
  const mid = midOf(item.event);
  const key = mid ?? null;
  if (deduplication) {
    if (mid === undefined) return verdict(rejectRouted(item.event, key, NO_MID));
    if (sightings.isSeen(mid, item)) {
      counts.duplicate_event_count += 1;
      const copy = withFlags(item.event, DUPLICATE);
      const kept = emission('telemetry.duplicate', key, copy);
      return verdict(dropped('ERR_DUPLICATE', 'an event of this mid was routed before', kept));
    }
    counts.unique_event_count += 1;
  }
  const checked = validation ? checkRouted(item.event, key, { schemas: deps.schemas, counts }) : item;
  if ('kind' in checked) return verdict(checked);
  if (deduplication && mid !== undefined) sightings.add(mid, item);
  return verdict(emitted(emission(topicOf(item, counts), key, checked.event)));
}

function topicOf({ event }: Item, counts: typeof COUNTS): TopicName {
  const { eid } = event;
  const name = typeof eid === 'string' ? eid.toUpperCase() : '';
  if (name === 'ERROR') {
    counts.error_route_success_count += 1;
    return 'druid.events.error';
  }
  if (name === 'ME_WORKFLOW_SUMMARY') {
    counts.summary_route_success_count += 1;
    return 'druid.events.summary';
  }
  counts.telemetry_route_success_count += 1;
  return 'druid.events.telemetry';
}
