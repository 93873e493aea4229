import type { Item, Job, JobDeps, Reads, Verdict } from '../core/job.ts';
import { createDenormaliser, DENORMALISE_COUNTS, type Denormaliser } from './denormalise-event.ts';
import { deviceKey, emission, emitted, movedCounters, verdict } from './outcomes.ts';

/**
 * Adds what the master datasets know of an event's device, user, dialcode, content and place; drops events that are
 * too old or of a skipped kind. All rows of a batch are read at once.
 * Source: de-normalization of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createDenormalise(deps: JobDeps): Job {
  const denormaliser = createDenormaliser(deps.options.denormalise);
  return {
    name: 'denormalise',
    replaces: 'de-normalization',
    does: 'Adds device, user, dialcode, content and location data; drops expired events.',
    inputs: ['telemetry.unique.primary', 'telemetry.unique.secondary', 'telemetry.error'],
    outputs: ['telemetry.denorm', 'telemetry.denorm.error', 'telemetry.failed'],
    unreadableTopic: 'telemetry.failed',
    plan: batch => ({ marks: [], rows: denormaliser.rowsFor(batch) }),
    process(batch, reads) {
      const counts = { ...DENORMALISE_COUNTS };
      const verdicts = batch.map(item => denormalise(item, denormaliser, reads, counts));
      return { verdicts, marks: [], counters: movedCounters(counts) };
    },
  };
}

function denormalise(
  item: Item,
  denormaliser: Denormaliser,
  reads: Reads,
  counts: typeof DENORMALISE_COUNTS,
): Verdict {
  const refusal = denormaliser.refusalOf(item, counts);
  if (refusal !== undefined) return verdict(refusal);
  const event = denormaliser.denormalise(item, reads, counts);
  // ERROR events keep a topic of their own, so that the last job can tell where they belong.
  const topic = item.event['eid'] === 'ERROR' ? 'telemetry.denorm.error' : 'telemetry.denorm';
  return verdict(emitted(emission(topic, deviceKey(event), event)));
}
