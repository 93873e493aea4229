import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type JsonObject, objectAt, textAt } from '../src/core/event.ts';
import type { Dataset } from '../src/core/job.ts';

/** Event types of the benchmarks, by fixture; about 770 bytes an event. */
const FIXTURES = [
  'impression',
  'interact',
  'start',
  'end',
  'assess',
  'search',
  'log',
  'audit',
  'error',
  'response',
];

const templates = FIXTURES.map(
  name =>
    JSON.parse(
      readFileSync(new URL(`../fixtures/valid/${name}.json`, import.meta.url), 'utf8'),
    ) as JsonObject,
);

/** Master data that the events find: one device, user and content each. */
export const MASTER_DATA: Readonly<Record<Dataset, JsonObject>> = {
  device: {
    state: 'Punjab',
    country: 'India',
    state_code: '03',
    city: 'Ludhiana',
    devicespec: '{"os":"Android","cpu":"8 cores"}',
    firstaccess: '1587283462495',
    user_declared_state: 'Punjab',
    user_declared_district: 'Ludhiana',
  },
  user: {
    usertype: 'teacher',
    state: 'Punjab',
    district: 'Ludhiana',
    usersignintype: 'Self-Signed-In',
    userlogintype: 'teacher',
    grade: ['Class 8'],
  },
  content: {
    name: 'Fractions',
    contentType: 'Resource',
    mimeType: 'video/mp4',
    framework: 'FW',
    board: 'State',
    subject: ['Mathematics'],
    medium: ['English'],
    gradeLevel: ['Class 8'],
    lastUpdatedOn: '2020-03-02T12:22:32.206+0000',
    channel: 'c1',
  },
  dialcode: {},
};

/** Rows of {@link MASTER_DATA} under the keys that the events name. */
export function masterRows(): readonly { dataset: Dataset; key: string; value: JsonObject }[] {
  const event = templates[0];
  const key = (part: string, name: string) => textAt(event, part, name) ?? '';
  return [
    { dataset: 'device', key: key('context', 'did'), value: MASTER_DATA.device },
    { dataset: 'user', key: key('actor', 'id'), value: MASTER_DATA.user },
    { dataset: 'content', key: key('object', 'id'), value: MASTER_DATA.content },
  ];
}

/** What the pipelines that are measured over these events are configured with. */
export const BENCH_SETS: readonly string[] = [
  'denormalise.expiryMonths=1200',
  'log.freeBytesMin=0',
  'dedup.producers=staging.sunbird.app',
];
/** Events in one of {@link benchBatches}. */
export const EVENTS_PER_BATCH = 100;

/** So many events in batches of 100; `change` makes them more different than {@link benchBatch} does. */
export function benchBatches(
  events: number,
  change?: (event: JsonObject, index: number) => JsonObject,
): readonly Buffer[] {
  return Array.from({ length: events / EVENTS_PER_BATCH }, (_, i) =>
    benchBatch(i * EVENTS_PER_BATCH, EVENTS_PER_BATCH, change),
  );
}

/**
 * The event as many devices send it: each batch has a device and a user of its own, of whom nothing is known, each
 * event a mid that looks random, and one in sixteen a null. Such texts compress to a tenth, not to a hundredth.
 */
export function ofManyDevices(event: JsonObject, index: number): JsonObject {
  const batch = index - (index % EVENTS_PER_BATCH);
  const context = { ...objectAt(event, 'context'), did: randomLooking('device', batch) };
  const actor = { ...objectAt(event, 'actor'), id: randomLooking('user', batch) };
  const mid = `${textAt(event, 'eid')}:${randomLooking('event', textAt(event, 'mid'))}`;
  const tags = index % 16 === 3 ? { tags: null } : {};
  return { ...event, mid, context, actor, ...tags };
}

function randomLooking(space: string, name: unknown): string {
  return createHash('md5').update(`${space} ${name}`).digest('hex');
}

/**
 * One batch as an SDK posts it: a session of its own, unique mids from `first` on, 1 % of them repeated, 2 % of the
 * events invalid, and another duration in each of the six types of ten that have one.
 */
export function benchBatch(
  first: number,
  count: number,
  change: (event: JsonObject, index: number) => JsonObject = event => event,
): Buffer {
  const sid = `7c1e02d5-88f4-47ab-9f32-${String(first).padStart(12, '0')}`;
  const events = Array.from({ length: count }, (_, i) => change(benchEvent(first + i, sid), first + i));
  const batch = {
    id: 'api.sunbird.telemetry',
    ver: '3.0',
    ets: Date.now(),
    params: { msgid: `b${first}` },
    events,
  };
  return Buffer.from(JSON.stringify(batch));
}

function benchEvent(n: number, sid: string): JsonObject {
  const template = templates[n % templates.length];
  const mid = n % 100 === 99 ? `bench-${n - 50}` : `bench-${n}`;
  const [context, edata] = [objectAt(template, 'context'), objectAt(template, 'edata')];
  const varied = edata?.['duration'] === undefined ? edata : { ...edata, duration: (n % 100_000) / 100 };
  const event = { ...template, ets: Date.now(), mid, context: { ...context, sid }, edata: varied };
  return n % 50 === 7 ? { ...event, ver: '9.9' } : event;
}
