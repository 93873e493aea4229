import {
  actorIdOf,
  didOf,
  eidOf,
  type Json,
  type JsonObject,
  objectAt,
  objectOf,
  type TelemetryEvent,
  textAt,
  withMetadata,
} from '../core/event.ts';
import {
  type CacheKey,
  type Dataset,
  type Dropped,
  type Item,
  type JobOptions,
  type Reads,
  type Rejected,
  rowKeyOf,
} from '../core/job.ts';
import { share, union } from '../core/shared-object.ts';
import { isDialcodeType } from './corrections.ts';
import { locationOf } from './location.ts';
import {
  contentDataOf,
  deviceDataOf,
  dialcodeDataOf,
  l2DataOf,
  UNKNOWN_USER,
  userDataOf,
} from './master-data.ts';
import { deviceKey, dropped, emission, type Fault, rejected } from './outcomes.ts';
import { endOfDayMs, monthsBeforeMs } from './times.ts';

/** Counters of denormalisation, all 0; the original's names. */
export const DENORMALISE_COUNTS = {
  events_expired: 0,
  events_skipped: 0,
  device_total: 0,
  device_cache_hit: 0,
  device_cache_miss: 0,
  user_total: 0,
  user_cache_hit: 0,
  user_cache_miss: 0,
  dialcode_total: 0,
  dialcode_cache_hit: 0,
  dialcode_cache_miss: 0,
  content_total: 0,
  content_cache_hit: 0,
  content_cache_miss: 0,
  loc_total: 0,
  loc_cache_hit: 0,
  loc_cache_miss: 0,
};

type Counts = typeof DENORMALISE_COUNTS;

/** Options of the section `denormalise`. */
type Options = JobOptions['denormalise'];

/** An event on its way: a copy whose members may be set. */
interface Draft {
  readonly event: Record<string, Json | undefined>;
  /** Bits of {@link FLAGS}. */
  found: number;
  readonly reads: Reads;
  readonly counts: Counts;
}

/** Adds master data to events; shared by the branches of events and of summaries. */
export interface Denormaliser {
  /** Rows that {@link Denormaliser.denormalise} asks for, for each event that is not refused. */
  rowsFor(items: readonly Item[]): readonly CacheKey[];
  /** Why the event is not denormalised: its time or eid is missing, it is too old, or of a skipped kind. */
  refusalOf(item: Item, counts: Counts): Rejected | Dropped | undefined;
  /** A copy of an event that is not refused, with what the rows say of device, user, dialcode, content, place. */
  denormalise(item: Item, reads: Reads, counts: Counts): TelemetryEvent;
}

/** Makes the denormaliser of the given options. */
export function createDenormaliser(options: Options): Denormaliser {
  const skipEids = new Set(options.skipEids);
  const permitEids = new Set(options.permitEids);
  const isSkipped = (eid: string): boolean =>
    eid !== 'ME_WORKFLOW_SUMMARY' && eid !== 'SUMMARY' && (eid.includes('SUMMARY') || skipEids.has(eid));
  const expiresBeforeMs = lastOf(nowMs => monthsBeforeMs(nowMs, options.expiryMonths));
  const stateOf = ({ event, nowMs }: Item): Fault | 'expired' | 'skipped' | 'fresh' => {
    const { ets } = event;
    if (typeof ets !== 'number' || !Number.isFinite(ets)) return NO_TIME;
    const eid = eidOf(event);
    if (eid === undefined) return NO_EID;
    if (ets < expiresBeforeMs(nowMs)) return 'expired';
    return isSkipped(eid) ? 'skipped' : 'fresh';
  };
  return {
    rowsFor(items) {
      const rows: CacheKey[] = [];
      for (const item of items) {
        if (stateOf(item) === 'fresh') addRows(rows, lookupsOf(item.event, permitEids));
      }
      return rows;
    },
    refusalOf: (item, counts) => refusal(item.event, stateOf(item), counts),
    denormalise(item, reads, counts) {
      const draft: Draft = { event: { ...item.event, flags: NOTHING }, found: 0, reads, counts };
      // A device's clock that runs ahead would otherwise put events into days that have not come.
      const endMs = endOfDayMs(item.nowMs);
      // In whole milliseconds, as the original reads it.
      if (Math.trunc(Number(item.event['ets'])) > endMs) draft.event['ets'] = endMs;
      const lookups = lookupsOf(item.event, permitEids);
      addDevice(draft, lookups.did);
      addUser(draft, lookups.userId);
      addDialcode(draft, lookups.dialcode);
      addContent(draft, lookups, options.collectionMiss);
      addLocation(draft);
      draft.event['flags'] = flagsWith(objectAt(item.event, 'flags'), draft.found);
      return draft.event;
    },
  };
}

const NO_TIME: Fault = {
  code: 'ERR_TIME_INVALID',
  reason: 'ets is not a number of milliseconds',
  pointer: '/ets',
};

const NO_EID: Fault = { code: 'ERR_SCHEMA_VIOLATION', reason: 'the event has no eid', pointer: '/eid' };

/** Remembers the answer for the last argument: items of one record share their time. */
function lastOf(compute: (nowMs: number) => number): (nowMs: number) => number {
  let lastMs = Number.NaN;
  let answer = Number.NaN;
  return nowMs => {
    if (nowMs !== lastMs) {
      answer = compute(nowMs);
      lastMs = nowMs;
    }
    return answer;
  };
}

function refusal(
  event: TelemetryEvent,
  state: Fault | 'expired' | 'skipped' | 'fresh',
  counts: Counts,
): Rejected | Dropped | undefined {
  if (state === 'fresh') return undefined;
  if (state === 'expired') {
    counts.events_expired += 1;
    return dropped('ERR_EXPIRED', 'expired', null);
  }
  if (state === 'skipped') {
    counts.events_skipped += 1;
    return dropped('ERR_SKIPPED', 'skipped', null);
  }
  const failed = withMetadata(event, { src: 'DenormalizationJob', denorm_error: state.reason });
  return rejected(state, emission('telemetry.failed', deviceKey(event), failed));
}

/** Keys of the rows that an event is denormalised with; undefined: that part is not looked up. */
interface Lookups {
  readonly did: string | undefined;
  readonly userId: string | undefined;
  readonly dialcode: string | undefined;
  readonly content: string | undefined;
  readonly collection: string | undefined;
  readonly l2: string | undefined;
}

function lookupsOf(event: TelemetryEvent, permitEids: ReadonlySet<string>): Lookups {
  const object = objectOf(event);
  const type = object?.type.toLowerCase();
  const isContent =
    type !== undefined && ((type !== 'user' && !isDialcodeType(type)) || permitEids.has(eidOf(event) ?? ''));
  const rollup = isContent ? objectAt(event, 'object', 'rollup') : undefined;
  const l1 = textAt(rollup, 'l1');
  const l2 = textAt(rollup, 'l2');
  return {
    did: didOf(event),
    userId: userIdOf(event),
    dialcode:
      object !== undefined && isDialcodeType(object.type) ? rowKeyOf('dialcode', object.id) : undefined,
    content: isContent ? object?.id : undefined,
    collection: l1 === object?.id ? undefined : l1,
    l2: l2 === object?.id ? undefined : l2,
  };
}

/** The user of an event that a user caused; a workflow summary names its user without saying what it is. */
function userIdOf(event: TelemetryEvent): string | undefined {
  const id = actorIdOf(event);
  if (id === undefined || id.toLowerCase() === 'anonymous') return undefined;
  const isUser = textAt(event, 'actor', 'type')?.toLowerCase() === 'user';
  return isUser || event['eid'] === 'ME_WORKFLOW_SUMMARY' ? id : undefined;
}

function addRows(rows: CacheKey[], lookups: Lookups): void {
  const add = (dataset: Dataset, key: string | undefined): void => {
    if (key !== undefined) rows.push({ dataset, key });
  };
  add('device', lookups.did);
  add('user', lookups.userId);
  add('dialcode', lookups.dialcode);
  add('content', lookups.content);
  add('content', lookups.collection);
  add('content', lookups.l2);
}

const NOTHING = share({});

/** What may be found, in the order in which it is looked for; each is a bit. */
const FLAGS = [
  { device_denorm: true },
  { device_denorm: false },
  { user_denorm: true },
  { user_denorm: false },
  { dialcode_denorm: true },
  { dialcode_denorm: false },
  { content_denorm: true },
  { content_denorm: false },
  { coll_denorm: true },
  { coll_denorm: false },
  { l2_denorm: true },
  { loc_denorm: true },
] as const;
const [DEVICE, NO_DEVICE, USER, NO_USER, DIALCODE, NO_DIALCODE] = [1, 2, 4, 8, 16, 32];
const [CONTENT, NO_CONTENT, COLLECTION, NO_COLLECTION, L2, LOCATION] = [64, 128, 256, 512, 1024, 2048];

/** By the bits: there are few that occur. */
const flagsByBits = new Map<number, JsonObject>();

/** The flags with those of the bits: put together once, not flag by flag for each event. */
function flagsWith(flags: JsonObject | undefined, bits: number): JsonObject {
  if (bits === 0) return flags ?? NOTHING;
  let found = flagsByBits.get(bits);
  if (found === undefined) {
    found = share(Object.assign({}, ...FLAGS.filter((_, index) => (bits >> index) & 1)) as JsonObject);
    flagsByBits.set(bits, found);
  }
  return union(flags, found);
}

function setFlag(draft: Draft, bit: number): void {
  draft.found |= bit;
}

function addDevice(draft: Draft, did: string | undefined): void {
  const { event, reads, counts } = draft;
  if (did === undefined) return;
  const data = deviceDataOf(reads.row({ dataset: 'device', key: did }));
  counts.device_total += 1;
  setFlag(draft, data === undefined ? NO_DEVICE : DEVICE);
  if (data === undefined) {
    counts.device_cache_miss += 1;
    return;
  }
  counts.device_cache_hit += 1;
  event['devicedata'] = data;
}

/** Data laid over what the event has; the row's own object where it has none, which the encoder knows again. */
function mergedInto(present: JsonObject | undefined, data: JsonObject): JsonObject {
  return present === undefined ? data : { ...present, ...data };
}

function hasMoreThanDefaults(data: JsonObject): boolean {
  let count = 0;
  for (const _ in data) if (++count > 2) return true;
  return false;
}

/** The flag asks for more than the two fields that every user has by default. */
function addUser(draft: Draft, userId: string | undefined): void {
  const { event, reads, counts } = draft;
  if (userId === undefined) return;
  const known = userDataOf(reads.row({ dataset: 'user', key: userId }));
  counts.user_total += 1;
  if (known !== undefined) counts.user_cache_hit += 1;
  else counts.user_cache_miss += 1;
  const data = known ?? UNKNOWN_USER;
  event['userdata'] = mergedInto(objectAt(event, 'userdata'), data);
  setFlag(draft, hasMoreThanDefaults(data) ? USER : NO_USER);
}

function addDialcode(draft: Draft, dialcode: string | undefined): void {
  const { event, reads, counts } = draft;
  if (dialcode === undefined) return;
  const data = dialcodeDataOf(reads.row({ dataset: 'dialcode', key: dialcode }));
  counts.dialcode_total += 1;
  setFlag(draft, data === undefined ? NO_DIALCODE : DIALCODE);
  if (data === undefined) {
    counts.dialcode_cache_miss += 1;
    return;
  }
  counts.dialcode_cache_hit += 1;
  event['dialcodedata'] = data;
}

function addContent(draft: Draft, lookups: Lookups, collectionMiss: boolean): void {
  const { event, reads, counts } = draft;
  if (lookups.content === undefined) return;
  const contentRow = (key: string): JsonObject | undefined => reads.row({ dataset: 'content', key });
  const data = contentDataOf(contentRow(lookups.content));
  counts.content_total += 1;
  setFlag(draft, data === undefined ? NO_CONTENT : CONTENT);
  if (data === undefined) counts.content_cache_miss += 1;
  else {
    counts.content_cache_hit += 1;
    event['contentdata'] = mergedInto(objectAt(event, 'contentdata'), data);
  }
  if (lookups.collection !== undefined) {
    const collection = contentDataOf(contentRow(lookups.collection));
    event['collectiondata'] = collection ?? NOTHING;
    setFlag(draft, collection !== undefined || collectionMiss ? COLLECTION : NO_COLLECTION);
  }
  if (lookups.l2 !== undefined) {
    event['l2data'] = l2DataOf(contentRow(lookups.l2)) ?? NOTHING;
    setFlag(draft, L2);
  }
}

/** Where nothing is known there is no flag, not even a false one. */
function addLocation(draft: Draft): void {
  const { event, counts } = draft;
  const location = locationOf(event);
  counts.loc_total += 1;
  if (location === undefined) {
    counts.loc_cache_miss += 1;
    return;
  }
  counts.loc_cache_hit += 1;
  event['derivedlocationdata'] = location;
  setFlag(draft, LOCATION);
}
