import { createHash } from 'node:crypto';
import { MillraceError } from '../../core/errors.ts';
import type { ArchiveEntry, ArchiveIndex, GroupOffset, Log, ObjectStore } from '../../core/ports.ts';
import { bareTopic, fullTopic } from '../../core/topics.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { compress, decompress } from './codec.ts';
import { encodeIntent, type Intent, type IntentObject } from './intent.ts';
import { type Codec, formatObjectName, parseObjectName } from './object-name.ts';
import { ARCHIVE_GROUP } from './offsets.ts';
import { OpenRange, type RangePart, reuseText } from './open-range.ts';

/** What a range is written with. */
export interface CutContext {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly index: ArchiveIndex;
  readonly environment: string;
  readonly codec: Codec;
  readonly epoch: number;
  nowMs(): number;
}

/** A range that is being written. Every step may be repeated. */
export interface Cut {
  readonly intent: Intent;
  /** One per object of the intent, same order. */
  readonly bodies: readonly CutBody[];
  /** Where the intent lies in the log; undefined before it is committed. */
  intentOffset: number | undefined;
}

interface CutBody {
  readonly part: RangePart;
  readonly bytes: Uint8Array;
}

const READ_RECORDS_MAX = 1000;

/** Compresses an open range and names its objects. Nothing leaves the process yet. */
export async function planCut(context: CutContext, range: OpenRange): Promise<Cut> {
  const { topic, partition, fromOffset, toOffset } = range;
  const { codec, epoch, environment } = context;
  const parts = range.takeParts();
  const bodies: CutBody[] = [];
  const objects: IntentObject[] = [];
  for (const [i, part] of parts.entries()) {
    const name = formatObjectName({
      dataset: bareTopic(environment, topic),
      date: part.date,
      partition,
      fromOffset,
      toOffset,
      part: i + 1,
      parts: parts.length,
      codec,
    });
    const bytes = await compress(codec, part.text);
    bodies.push({ part, bytes });
    const { date, records } = part;
    objects.push({ name, date, records, sizeBytes: bytes.length, sha256: sha256Of(bytes) });
  }
  return {
    intent: { topic, partition, fromOffset, toOffset, epoch, objects },
    bodies,
    intentOffset: undefined,
  };
}

/** Writes a range: intent, objects, entries, offset, in this order; goes on where an earlier try stopped. */
export async function writeCut(context: CutContext, cut: Cut): Promise<void> {
  if (cut.intentOffset === undefined) {
    failpoint('archive.beforeIntent');
    cut.intentOffset = await commitIntent(context, cut.intent);
    failpoint('archive.afterIntent');
  }
  const entries: ArchiveEntry[] = [];
  for (const [i, object] of cut.intent.objects.entries()) {
    failpoint('archive.beforeUpload');
    entries.push(await upload(context, { intent: cut.intent, object, part: i + 1, body: cut.bodies[i]! }));
    failpoint('archive.afterUpload');
  }
  await context.index.addEntries(entries);
  failpoint('archive.afterRows');
  await context.log.commit({ appends: [], offsets: offsetsAfter(context, cut.intent, cut.intentOffset) });
  failpoint('archive.afterCommit');
}

/** Lets go of what a cut was written from; it cannot be written again. */
export function discardCut(cut: Cut): void {
  for (const { part } of cut.bodies) reuseText(part.text);
}

/** Builds a range that an intent names again from the log, to be written as the intent says. */
export async function rebuildCut(context: CutContext, intent: Intent, intentOffset: number): Promise<Cut> {
  const { topic, partition, fromOffset, toOffset } = intent;
  const range = new OpenRange({ topic, partition, offset: fromOffset }, context.nowMs());
  // Ends: each read begins after the last record of the one before.
  while (range.toOffset < toOffset) {
    const recordsMax = Math.min(READ_RECORDS_MAX, toOffset - range.toOffset);
    const records = (await context.log.read(topic, partition, range.toOffset, recordsMax)).filter(
      record => record.offset < toOffset,
    );
    for (const record of records) range.add(record);
    if (records.length === 0) break;
  }
  const parts = new Map(range.takeParts().map(part => [part.date, part]));
  const bodies: CutBody[] = [];
  for (const { name, date } of intent.objects) {
    // Records that have become unreadable since are missing here; all of a date's, and its object is empty.
    const part = parts.get(date) ?? { date, records: 0, text: new Uint8Array(0), runs: [] };
    bodies.push({ part, bytes: await compress(parseObjectName(name)?.codec ?? context.codec, part.text) });
  }
  return { intent, bodies, intentOffset };
}

/** Hexadecimal SHA-256 of an object's bytes. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function commitIntent(context: CutContext, intent: Intent): Promise<number> {
  const record = {
    key: `${intent.topic}:${intent.partition}`,
    timeMs: context.nowMs(),
    headers: {},
    value: encodeIntent(intent),
  };
  const topic = fullTopic(context.environment, 'archive.intents');
  const { baseOffsets } = await context.log.commit({ appends: [{ topic, partition: 0, records: [record] }] });
  return baseOffsets[0]!;
}

interface Upload {
  readonly intent: Intent;
  readonly object: IntentObject;
  readonly part: number;
  readonly body: CutBody;
}

/** Creates the object, or finds it as it must be; answers its entry. */
async function upload(context: CutContext, { intent, object, part, body }: Upload): Promise<ArchiveEntry> {
  const isNew = await context.objects.create(object.name, body.bytes);
  const stored = isNew ? body.bytes : await existing(context, object, body);
  const sha256 = sha256Of(stored);
  // An object made as planned holds the planned records, also where fewer of them can be read by now.
  const isBody = sha256 !== object.sha256 || body.part.records === object.records;
  return {
    object: object.name,
    topic: intent.topic,
    partition: intent.partition,
    fromOffset: intent.fromOffset,
    toOffset: intent.toOffset,
    records: isBody ? body.part.records : object.records,
    sizeBytes: stored.length,
    sha256,
    date: object.date,
    part,
    parts: intent.objects.length,
    epoch: intent.epoch,
    runs: isBody ? body.part.runs : [],
  };
}

async function existing(context: CutContext, object: IntentObject, body: CutBody): Promise<Uint8Array> {
  const stored = await context.objects.read(object.name);
  if (sha256Of(stored) === object.sha256) return stored;
  if (await holdsText(object.name, stored, body.part.text)) return stored;
  throw new MillraceError('ERR_OBJECT_CONFLICT', `${object.name} exists and holds other records`);
}

/** Other bytes may hold the same text: another release of the compressor made them. */
async function holdsText(name: string, stored: Uint8Array, text: Uint8Array): Promise<boolean> {
  try {
    return Buffer.compare(await decompress(parseObjectName(name)?.codec ?? 'zstd', stored), text) === 0;
  } catch {
    return false;
  }
}

function offsetsAfter(context: CutContext, intent: Intent, intentOffset: number): readonly GroupOffset[] {
  const { topic, partition, toOffset } = intent;
  const intents = fullTopic(context.environment, 'archive.intents');
  return [
    { group: ARCHIVE_GROUP, topic, partition, offset: toOffset },
    { group: ARCHIVE_GROUP, topic: intents, partition: 0, offset: intentOffset + 1 },
  ];
}
