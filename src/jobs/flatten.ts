import { eidOf, type TelemetryEvent, withMetadata } from '../core/event.ts';
import { withFlags } from '../core/flags.ts';
import type { Emission, Job, JobDeps, Verdict } from '../core/job.ts';
import { share } from '../core/shared-object.ts';
import { deviceKey, emission, emitted, type Fault, movedCounters, rejected, verdict } from './outcomes.ts';
import { type ShareItems, shareItemsOf } from './share-items.ts';

const FLATTENED = share({ pp_share_event_processed: true });
const COUNTS = {
  primary_route_success_count: 0,
  audit_route_success_count: 0,
  share_route_success_count: 0,
  error_route_success_count: 0,
  share_item_event_success_count: 0,
  denorm_primary_route_success_count: 0,
  denorm_secondary_route_success_count: 0,
};

type Counts = typeof COUNTS;

const NO_ITEMS: ShareItems = { events: [], itemCount: 0 };

const TOO_MANY: Fault = {
  code: 'ERR_SHARE_TOO_LARGE',
  reason: 'the items of the event would take more than 32 times its bytes',
  pointer: '/edata/items',
};

/** The branch that an eid is denormalised in. */
type Branch = 'telemetry.unique.primary' | 'telemetry.unique.secondary';

/**
 * Routes unique events by eid and makes one SHARE_ITEM event of each item shared. ERROR goes its own way; everything
 * else goes to `telemetry.unique` and to one of the branches, AUDIT also to `telemetry.audit`. A SHARE whose items
 * would be out of all proportion is rejected.
 * Source: pipeline-preprocessor of the original, newest generation; docs/decisions/0003-stream-job-semantics.md.
 */
export function createFlatten(deps: JobDeps): Job {
  const secondaryEids = new Set(deps.options.flatten.secondaryEids);
  const branchOf = (eid: string): Branch =>
    secondaryEids.has(eid) ? 'telemetry.unique.secondary' : 'telemetry.unique.primary';
  return {
    name: 'flatten',
    replaces: 'pipeline-preprocessor',
    does: 'Routes unique events by eid and makes an event of each item of a SHARE.',
    inputs: ['telemetry.deduplicated'],
    outputs: [
      'telemetry.unique',
      'telemetry.unique.primary',
      'telemetry.unique.secondary',
      'telemetry.error',
      'telemetry.audit',
      'telemetry.failed',
    ],
    unreadableTopic: 'telemetry.failed',
    plan: () => ({ marks: [], rows: [] }),
    process(batch) {
      const counts = { ...COUNTS };
      const verdicts = batch.map(item => {
        const eid = eidOf(item.event) ?? '';
        if (eid === 'ERROR') return routeError(item.event, counts);
        const branch = branchOf(eid);
        const shared = eid === 'SHARE' ? shareItemsOf(item, deps) : NO_ITEMS;
        if (shared === undefined) return refuseShare(item.event);
        countBranch(branch, counts);
        if (eid === 'AUDIT') return routeAudit(item.event, branch, counts);
        if (eid !== 'SHARE') return verdict(emitted(...copiesOf(item.event, branch)));
        counts.share_route_success_count += 1;
        counts.share_item_event_success_count += shared.itemCount;
        const itemBranch = branchOf('SHARE_ITEM');
        return routeShare(
          item.event,
          branch,
          shared.events.flatMap(event => copiesOf(event, itemBranch)),
        );
      });
      return { verdicts, marks: [], counters: movedCounters(counts) };
    },
  };
}

function refuseShare(event: TelemetryEvent): Verdict {
  const failed = withMetadata(event, { validation_error: '/edata/items', src: 'PipelinePreprocessor' });
  return verdict(rejected(TOO_MANY, emission('telemetry.failed', deviceKey(event), failed)));
}

function routeError(event: TelemetryEvent, counts: Counts): Verdict {
  counts.error_route_success_count += 1;
  return verdict(emitted(emission('telemetry.error', deviceKey(event), event)));
}

/** The copy to be denormalised and the one that is kept. */
function copiesOf(event: TelemetryEvent, branch: Branch): readonly Emission[] {
  const key = deviceKey(event);
  return [emission(branch, key, event), emission('telemetry.unique', key, event)];
}

function countBranch(branch: Branch, counts: Counts): void {
  counts.primary_route_success_count += 1;
  if (branch === 'telemetry.unique.primary') counts.denorm_primary_route_success_count += 1;
  else counts.denorm_secondary_route_success_count += 1;
}

function routeAudit(event: TelemetryEvent, branch: Branch, counts: Counts): Verdict {
  counts.audit_route_success_count += 1;
  const audit = emission('telemetry.audit', deviceKey(event), event);
  return verdict(emitted(...copiesOf(event, branch), audit));
}

/** The branch's copy is the one before flattening, without the flag: consumers of the original rely on it. */
function routeShare(event: TelemetryEvent, branch: Branch, derived: readonly Emission[]): Verdict {
  const key = deviceKey(event);
  const flattened = { ...withFlags(event, FLATTENED), type: 'events' };
  const unique = emission('telemetry.unique', key, flattened);
  return verdict(emitted(emission(branch, key, event), unique), derived);
}
