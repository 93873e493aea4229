import { isObject, type Json, type JsonObject, valueAt, withMetadata } from '../core/event.ts';
import type { Emission, Item, Job, JobDeps, Outcome, Verdict } from '../core/job.ts';
import { dropNulls } from '../core/nulls.ts';
import { share } from '../core/shared-object.ts';
import { auditLogOf } from './audit-log.ts';
import { isJsonLongerThan } from './json-size.ts';
import { deviceKey, dropped, emission, emitted, movedCounters, rejected, verdict } from './outcomes.ts';
import { createSightings, type Sightings } from './sightings.ts';
import { isoTime, timeMsOf } from './times.ts';

const PROCESSED = share({ ex_processed: true });
const SRC = 'TelemetryExtractorJob';

const COUNTS = {
  success_batch_count: 0,
  failed_batch_count: 0,
  unique_event_count: 0,
  duplicate_event_count: 0,
  success_event_count: 0,
  failed_event_count: 0,
  audit_event_count: 0,
};

/** A batch as far as this job reads it. `msgid` undefined: the batch cannot be told from another. */
interface Batch {
  readonly msgid: string | undefined;
  readonly events: readonly Json[];
}

/** What the verdicts on one batch of items share. */
interface Pass {
  readonly sightings: Sightings;
  readonly counts: typeof COUNTS;
}

/**
 * Opens client batches into events: drops batches whose `params.msgid` was seen, stamps each event with the batch's
 * `syncts`, sets aside what is too large or no object, and makes one audit LOG per batch. `unique_event_count` and
 * `duplicate_event_count` count batches, as in the original.
 * Source: telemetry-extractor of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function createExtract(deps: JobDeps): Job {
  return {
    name: 'extract',
    replaces: 'telemetry-extractor',
    does: 'Opens batches into events, drops repeated batches, stamps the time of sync, makes audit LOGs.',
    inputs: ['telemetry.ingest'],
    outputs: [
      'telemetry.raw',
      'telemetry.assess.redact',
      'telemetry.log',
      'druid.events.log',
      'telemetry.failed',
      'telemetry.extractor.duplicate',
      'telemetry.extractor.failed',
    ],
    unreadableTopic: 'telemetry.extractor.failed',
    plan(items) {
      const marks = items.flatMap(item => {
        const batch = readBatch(item.event);
        const key = 'fault' in batch ? undefined : batch.msgid;
        return key === undefined ? [] : [{ space: 'batch' as const, key }];
      });
      return { marks, rows: [] };
    },
    process(items, reads) {
      const pass: Pass = {
        sightings: createSightings('batch', deps.options.dedup.ttlMs, reads),
        counts: { ...COUNTS },
      };
      const stage = stageOf(deps);
      const verdicts = items.map(item => openBatch(item, deps, stage, pass));
      return { verdicts, marks: pass.sightings.marks, counters: movedCounters(pass.counts) };
    },
  };
}

type Stage = (event: JsonObject) => Emission;

/** The topic by eid: answers to be redacted (exact name), LOG in any case, everything else. */
function stageOf(deps: JobDeps): Stage {
  const redactEids = new Set<Json | undefined>(deps.options.redact.eids);
  return event => {
    const { eid } = event;
    const isLog = typeof eid === 'string' && eid.length === 3 && eid.toUpperCase() === 'LOG';
    const topic = redactEids.has(eid) ? 'telemetry.assess.redact' : isLog ? 'telemetry.log' : 'telemetry.raw';
    return emission(topic, deviceKey(event), event);
  };
}

function openBatch(item: Item, deps: JobDeps, stage: Stage, { sightings, counts }: Pass): Verdict {
  const batch = readBatch(item.event);
  if ('fault' in batch) {
    counts.failed_batch_count += 1;
    const event = withMetadata(item.event, { src: SRC, ex_error: batch.fault });
    const fault = { code: 'ERR_BATCH_UNREADABLE', reason: batch.fault, pointer: batch.pointer } as const;
    return verdict(rejected(fault, emission('telemetry.extractor.failed', null, event)));
  }
  if (batch.msgid !== undefined && sightings.isSeen(batch.msgid, item)) {
    counts.duplicate_event_count += 1;
    return duplicateBatch(item.event, batch.events.length);
  }
  if (batch.msgid !== undefined) sightings.add(batch.msgid, item);
  counts.unique_event_count += 1;
  counts.success_batch_count += 1;
  counts.audit_event_count += 1;
  const syncts = timeMsOf(item.event['syncts']) ?? item.nowMs;
  const stamp = { syncts, '@timestamp': isoTime(syncts) };
  const mayExceed = mayHoldLarger(item, deps.options.extract.eventBytesMax);
  const withNull = item.text?.eventsWithNull;
  const outcomes = batch.events.map((sent, index): Outcome => {
    const isBare = withNull !== undefined && !withNull.has(index);
    const event = isObject(sent) && !isBare ? dropNulls(sent) : sent;
    const outcome = openEvent(event, index, stamp, { deps, stage, mayExceed });
    if (outcome.kind === 'emit') counts.success_event_count += 1;
    else counts.failed_event_count += 1;
    return outcome;
  });
  const log = auditLogOf(item, batch.events.length, deps.uuid);
  return { outcomes, derived: [emission('druid.events.log', deviceKey(log), log)] };
}

/** Reads what can make a batch unreadable; absent or null `params`, `msgid` and `events` cannot. */
function readBatch(batch: JsonObject): Batch | { readonly fault: string; readonly pointer: string } {
  const params = valueAt(batch, 'params') ?? undefined;
  if (params !== undefined && !isObject(params)) {
    return { fault: 'params is not an object', pointer: '/params' };
  }
  const msgid = valueAt(params, 'msgid') ?? '';
  if (typeof msgid !== 'string') return { fault: 'params.msgid is not a text', pointer: '/params/msgid' };
  const events = valueAt(batch, 'events') ?? [];
  if (!Array.isArray(events)) return { fault: 'events is not an array', pointer: '/events' };
  return { msgid: msgid === '' ? undefined : msgid, events };
}

/** The whole batch once; its further events, and so its count, are dropped without a copy. */
function duplicateBatch(batch: JsonObject, eventCount: number): Verdict {
  const reason = 'a batch of this msgid was received before';
  const kept = emission('telemetry.extractor.duplicate', null, {
    ...batch,
    flags: { extractor_duplicate: true },
  });
  const counted = dropped('ERR_DUPLICATE', reason, null);
  const outcomes: Outcome[] = new Array(Math.max(1, eventCount)).fill(counted);
  outcomes[0] = dropped('ERR_DUPLICATE', reason, kept);
  return { outcomes, derived: [] };
}

function openEvent(
  event: Json,
  index: number,
  stamp: { readonly syncts: number; readonly '@timestamp': string },
  { deps, stage, mayExceed }: { readonly deps: JobDeps; readonly stage: Stage; readonly mayExceed: boolean },
): Outcome {
  if (!isObject(event)) {
    const reason = 'an element of events is not a JSON object';
    const fault = { code: 'ERR_EVENT_NOT_OBJECT', reason, pointer: `/events/${index}` } as const;
    return rejected(fault, emission('telemetry.failed', null, { event, ...stamp, ...failedMarks(reason) }));
  }
  const { eventBytesMax } = deps.options.extract;
  // The size is that of the event with its stamp and without flags.
  if (mayExceed && isJsonLongerThan({ ...event, ...stamp }, eventBytesMax, deps.byteLength)) {
    const reason = `the event is larger than ${eventBytesMax} bytes`;
    const failed = { ...event, ...stamp, ...failedMarks('Event size is Exceeded') };
    const kept = emission('telemetry.failed', deviceKey(event), failed);
    return rejected({ code: 'ERR_EVENT_TOO_LARGE', reason, pointer: null }, kept);
  }
  const { syncts, '@timestamp': timestamp } = stamp;
  return emitted(stage({ ...event, syncts, '@timestamp': timestamp, flags: PROCESSED }));
}

/** A number such as `1e20` is written out in full: six times its text is the most that any JSON grows. */
const GROWTH_MAX = 6;
const STAMP_BYTES_MAX = 128;

/** Whether the batch's text is long enough to hold an event over the limit; most are not by far. */
function mayHoldLarger({ text }: Item, bytesMax: number): boolean {
  return text === undefined || GROWTH_MAX * text.sizeBytes + STAMP_BYTES_MAX > bytesMax;
}

/** Flags and metadata of a failed event; they replace what the client sent under these names. */
function failedMarks(error: string): JsonObject {
  return { flags: { ex_processed: false }, metadata: { src: SRC, ex_error: error } };
}
