import type { OffsetRange } from '../../core/documents.ts';
import type { ArchiveEntry } from '../../core/ports.ts';
import type { ColumnValue } from '../../core/relations.ts';
import type { SqlRow } from './sql-database.ts';

/** The columns of `archive_objects`, in the order of {@link valuesOfEntry}. */
export const ENTRY_COLUMNS = [
  'object',
  'topic',
  'partition',
  'from_offset',
  'to_offset',
  'date',
  'part',
  'parts',
  'records',
  'size_bytes',
  'sha256',
  'epoch',
  'offset_runs',
] as const;

/** An entry as a row of `archive_objects`. */
export function valuesOfEntry(entry: ArchiveEntry): ColumnValue[] {
  return [
    entry.object,
    entry.topic,
    entry.partition,
    entry.fromOffset,
    entry.toOffset,
    entry.date,
    entry.part,
    entry.parts,
    entry.records,
    entry.sizeBytes,
    entry.sha256,
    entry.epoch,
    JSON.stringify(entry.runs.map(run => [run.fromOffset, run.toOffset])),
  ];
}

/** A row of `archive_objects` as an entry. */
export function entryOf(row: SqlRow): ArchiveEntry {
  const runs: readonly (readonly [number, number])[] = JSON.parse(String(row.offset_runs));
  return {
    object: String(row.object),
    topic: String(row.topic),
    partition: Number(row.partition),
    fromOffset: Number(row.from_offset),
    toOffset: Number(row.to_offset),
    date: String(row.date),
    part: Number(row.part),
    parts: Number(row.parts),
    records: Number(row.records),
    sizeBytes: Number(row.size_bytes),
    sha256: String(row.sha256),
    epoch: Number(row.epoch),
    runs: runs.map(([fromOffset, toOffset]) => ({ fromOffset, toOffset })),
  };
}

/** The 1-based line of an offset among the runs of an object; undefined where the object does not hold it. */
export function lineOf(runs: readonly OffsetRange[], offset: number): number | undefined {
  let before = 0;
  for (const { fromOffset, toOffset } of runs) {
    if (offset >= fromOffset && offset < toOffset) return before + offset - fromOffset + 1;
    before += toOffset - fromOffset;
  }
  return undefined;
}
