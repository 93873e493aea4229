import type { ArchiveVerifyDocument, OffsetRange } from '../../core/documents.ts';
import type { ArchiveIndex, Log, ObjectStore, QuarantinedRange } from '../../core/ports.ts';
import { bareTopic } from '../../core/topics.ts';
import { decompress } from './codec.ts';
import { sha256Of } from './cut.ts';
import { archivedOffsets, BEGIN_COUNTER } from './offsets.ts';
import { partitionKey } from './open-ranges.ts';
import { countLines, type StoredObject, storedObjects } from './stored-objects.ts';

/** What is verified, and against what. */
export interface VerifyOptions {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly index: ArchiveIndex;
  readonly environment: string;
  readonly topics: readonly string[];
}

/** A partition's range in the log's full topic names. */
export interface PartitionRange extends OffsetRange {
  readonly topic: string;
  readonly partition: number;
}

type PartitionVerdict = ArchiveVerifyDocument['topics'][number]['partitions'][number];

/**
 * Reads every object below the offset up to which each partition is archived, and shows that they hold each
 * record once: the ranges in their names follow one another without gap and overlap, every range has all its
 * parts, every object decompresses, has the digest and the lines that were recorded for it, and the parts of
 * a range have a line for each offset but quarantined ones and, over all ranges of the partition, as many as
 * transactions took without a record. What is newer is left out: it may be in the making.
 *
 * A range with a part missing is a gap as a whole. Needs the memory of one object at a time.
 */
export async function verifyArchive(options: VerifyOptions): Promise<ArchiveVerifyDocument> {
  const state = await options.log.describe();
  const archived = archivedOffsets(state);
  const topics: { topic: string; partitions: PartitionVerdict[] }[] = [];
  for (const { topic, partitions } of state.topics) {
    if (!options.topics.includes(topic)) continue;
    const stored = await objectsByPartition(options.objects, bareTopic(options.environment, topic));
    const verdicts: PartitionVerdict[] = [];
    for (const { partition, startOffset, endOffset, records } of partitions) {
      const key = partitionKey(topic, partition);
      const archivedTo = archived.get(key) ?? startOffset;
      const first = state.counters[`${BEGIN_COUNTER}${key}`] ?? (archived.has(key) ? 0 : startOffset);
      const claim = { topic, partition, fromOffset: first, toOffset: archivedTo };
      const objects = (stored.get(partition) ?? []).filter(({ parsed }) => parsed.fromOffset < archivedTo);
      const quarantined = state.quarantined.filter(row => row.topic === topic && row.partition === partition);
      const bare = Math.max(0, endOffset - records);
      verdicts.push(await verifyPartition(options, { claim, objects, quarantined, bare }));
    }
    topics.push({ topic, partitions: verdicts });
  }
  const isWhole = (row: PartitionVerdict): boolean =>
    row.gaps.length === 0 && row.overlaps.length === 0 && row.damaged.length === 0;
  return { ok: topics.every(({ partitions }) => partitions.every(isWhole)), topics };
}

/** How many offsets of a range are quarantined. */
export function quarantinedIn(quarantined: readonly QuarantinedRange[], range: PartitionRange): number {
  return quarantined
    .filter(row => row.topic === range.topic && row.partition === range.partition)
    .reduce((sum, row) => sum + overlapOf(row, range), 0);
}

interface PartitionClaim {
  /** What must be covered. */
  readonly claim: PartitionRange;
  readonly objects: readonly StoredObject[];
  readonly quarantined: readonly QuarantinedRange[];
  /** Offsets of the partition that no record has: those of a transaction's marks, or of one that was aborted. */
  readonly bare: number;
}

async function verifyPartition(options: VerifyOptions, work: PartitionClaim): Promise<PartitionVerdict> {
  const { claim, objects, quarantined } = work;
  const damaged: string[] = [];
  const covered: OffsetRange[] = [];
  let bareLeft = work.bare;
  for (const { range, parts } of rangesOf(objects)) {
    if (isWhole(parts)) covered.push(range);
    const place = { ...claim, ...range };
    const found = await damagedIn(options, { range: place, parts, quarantined, bareMax: bareLeft });
    damaged.push(...found.damaged);
    bareLeft -= found.bare;
  }
  const { gaps, overlaps } = tile(claim, covered, quarantined);
  return {
    partition: claim.partition,
    archivedTo: claim.toOffset,
    gaps,
    overlaps,
    quarantined: quarantined.map(({ fromOffset, toOffset }) => ({ fromOffset, toOffset })),
    damaged,
  };
}

async function objectsByPartition(
  objects: ObjectStore,
  dataset: string,
): Promise<Map<number, StoredObject[]>> {
  const found = new Map<number, StoredObject[]>();
  for await (const object of storedObjects(objects, dataset)) {
    const known = found.get(object.parsed.partition);
    if (known === undefined) found.set(object.parsed.partition, [object]);
    else known.push(object);
  }
  return found;
}

interface StoredRange {
  readonly range: OffsetRange;
  readonly parts: readonly StoredObject[];
}

/** Objects of the same range and the same way of writing it belong together. */
function rangesOf(objects: readonly StoredObject[]): readonly StoredRange[] {
  const ranges = new Map<string, { range: OffsetRange; parts: StoredObject[] }>();
  for (const object of objects) {
    const { fromOffset, toOffset, parts, codec } = object.parsed;
    const key = `${fromOffset}-${toOffset}-${parts}-${codec}`;
    const known = ranges.get(key);
    if (known === undefined) ranges.set(key, { range: { fromOffset, toOffset }, parts: [object] });
    else known.parts.push(object);
  }
  return [...ranges.values()];
}

function isWhole(objects: readonly StoredObject[]): boolean {
  const numbers = new Set(objects.map(object => object.parsed.part));
  const parts = objects[0]?.parsed.parts;
  return objects.length === parts && numbers.size === parts && numbers.has(1) && numbers.has(parts);
}

interface StoredParts {
  readonly range: PartitionRange;
  readonly parts: readonly StoredObject[];
  readonly quarantined: readonly QuarantinedRange[];
  /** How many of its offsets may hold no record. */
  readonly bareMax: number;
}

/** The objects of a range that are not what they should be, and how many offsets have no line. */
async function damagedIn(
  options: VerifyOptions,
  work: StoredParts,
): Promise<{ readonly damaged: readonly string[]; readonly bare: number }> {
  const { range, parts, quarantined, bareMax } = work;
  const damaged: string[] = [];
  let lines = 0;
  for (const { name, parsed } of parts) {
    const content = await contentOf(options.objects, { name, codec: parsed.codec });
    const entry = await options.index.findEntry(name);
    const isRecorded =
      entry === undefined || (entry.sha256 === content?.sha256 && entry.records === content.lines);
    if (content === undefined || !isRecorded) damaged.push(name);
    lines += content?.lines ?? 0;
  }
  if (damaged.length > 0 || !isWhole(parts)) return { damaged, bare: 0 };
  const offsets = range.toOffset - range.fromOffset;
  // Records may have become unreadable in the log after they were archived, so the lower bound is not sharp.
  const bare = Math.max(0, offsets - lines - quarantinedIn(quarantined, range));
  if (lines <= offsets && bare <= bareMax) return { damaged, bare };
  return { damaged: parts.map(({ name }) => name), bare: 0 };
}

/** Undefined where the object cannot be read, does not decompress or ends within a line. */
async function contentOf(
  objects: ObjectStore,
  { name, codec }: { readonly name: string; readonly codec: StoredObject['parsed']['codec'] },
): Promise<{ readonly sha256: string; readonly lines: number } | undefined> {
  try {
    const bytes = await objects.read(name);
    const lines = countLines(await decompress(codec, bytes));
    return lines === undefined ? undefined : { sha256: sha256Of(bytes), lines };
  } catch {
    return undefined;
  }
}

/** What of the claim is covered never or more than once; quarantined offsets need no cover. */
function tile(claim: OffsetRange, covered: readonly OffsetRange[], quarantined: readonly OffsetRange[]) {
  const gaps: OffsetRange[] = [];
  const overlaps: OffsetRange[] = [];
  let next = claim.fromOffset;
  for (const { fromOffset, toOffset } of [...covered].sort((a, b) => a.fromOffset - b.fromOffset)) {
    if (fromOffset > next) gaps.push(...without({ fromOffset: next, toOffset: fromOffset }, quarantined));
    if (fromOffset < next) overlaps.push({ fromOffset, toOffset: Math.min(toOffset, next) });
    next = Math.max(next, toOffset);
  }
  if (next < claim.toOffset)
    gaps.push(...without({ fromOffset: next, toOffset: claim.toOffset }, quarantined));
  // A range that reaches past the claim was written otherwise than the log remembers.
  if (next > claim.toOffset) overlaps.push({ fromOffset: claim.toOffset, toOffset: next });
  return { gaps, overlaps };
}

/** What remains of a range without others. */
function without(range: OffsetRange, others: readonly OffsetRange[]): readonly OffsetRange[] {
  const left: OffsetRange[] = [];
  let next = range.fromOffset;
  for (const { fromOffset, toOffset } of [...others].sort((a, b) => a.fromOffset - b.fromOffset)) {
    if (toOffset <= next || fromOffset >= range.toOffset) continue;
    if (fromOffset > next) left.push({ fromOffset: next, toOffset: fromOffset });
    next = Math.max(next, toOffset);
  }
  if (next < range.toOffset) left.push({ fromOffset: next, toOffset: range.toOffset });
  return left;
}

function overlapOf(a: OffsetRange, b: OffsetRange): number {
  return Math.max(0, Math.min(a.toOffset, b.toOffset) - Math.max(a.fromOffset, b.fromOffset));
}
