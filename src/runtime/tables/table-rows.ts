import { isObject, type Json, type JsonObject, valueAt } from '../../core/event.ts';
import { type Provenance, provenanceOf } from '../../core/headers.ts';
import { formatSource, type LogRecord } from '../../core/record.ts';
import { type ColumnValue, RELATIONS, type RelationName, type TableRow } from '../../core/relations.ts';
import { bareTopic, type TopicName } from '../../core/topics.ts';

/** The topics that the tables are made from, without prefix, with the relation that each fills. */
export const TABLE_TOPICS: Readonly<Partial<Record<TopicName, RelationName>>> = {
  'druid.events.telemetry': 'events',
  'druid.events.summary': 'events',
  'druid.events.log': 'events',
  'druid.events.error': 'events',
  'telemetry.failed': 'failed',
  'telemetry.extractor.failed': 'failed',
  'telemetry.duplicate': 'duplicates',
  'telemetry.extractor.duplicate': 'duplicates',
  'telemetry.audit': 'audit',
  'telemetry.assess.raw': 'assess',
  'telemetry.dropped': 'dropped',
};

// Longer texts would only swell the indexes; nothing that names an event comes near. `raw` holds them whole.
const TEXT_CHARACTERS_MAX = 8192;
const DATE_MS_MAX = 8.64e15;
const RELATION_OF = new Map<string, RelationName>(Object.entries(TABLE_TOPICS));

/**
 * The rows of a record: one; for a duplicate batch one per event in it (one for a batch without events); none
 * for a topic that fills no relation.
 *
 * Never throws on data. A column that the event gives in an unexpected form is null (a number or a boolean
 * where a text belongs becomes its text); `raw` always holds the whole value. `received_at` falls back to the
 * record's time.
 */
export function tableRowsOf(record: LogRecord, environment: string): readonly TableRow[] {
  const dataset = bareTopic(environment, record.topic);
  const relation = RELATION_OF.get(dataset);
  if (relation === undefined) return [];
  const raw = Buffer.from(record.value.buffer, record.value.byteOffset, record.value.length).toString('utf8');
  const value = parse(raw);
  const context: RowContext = { record, dataset, provenance: provenanceOf(record.headers) };
  const events = dataset === 'telemetry.extractor.duplicate' ? valueAt(value, 'events') : undefined;
  if (!Array.isArray(events) || events.length === 0)
    return [rowOf(relation, context, { value, raw, index: 0 })];
  return events.map((event: Json, index) =>
    rowOf(relation, context, { value: event, raw: JSON.stringify(event), index }),
  );
}

interface RowContext {
  readonly record: LogRecord;
  readonly dataset: string;
  readonly provenance: Provenance;
}

interface RowEvent {
  readonly value: Json | undefined;
  readonly raw: string;
  readonly index: number;
}

function rowOf(relation: RelationName, context: RowContext, event: RowEvent): TableRow {
  const columns: Readonly<Record<string, ColumnValue>> = {
    ...eventColumns(isObject(event.value) ? event.value : {}),
    ...originColumns(context, event.index),
    raw: event.raw,
  };
  return { relation, values: RELATIONS[relation].map(column => columns[column] ?? null) };
}

function eventColumns(event: JsonObject): Readonly<Record<string, ColumnValue>> {
  const ets = integer(event['ets']);
  return {
    eid: text(event['eid']),
    mid: text(event['mid']),
    // The last two are where a dropped event's short record has them.
    did: text(valueAt(event, 'dimensions', 'did') ?? valueAt(event, 'context', 'did') ?? event['did']),
    channel: text(
      valueAt(event, 'dimensions', 'channel') ?? valueAt(event, 'context', 'channel') ?? event['channel'],
    ),
    pdata_id: text(valueAt(event, 'context', 'pdata', 'id') ?? valueAt(event, 'dimensions', 'pdata', 'id')),
    ets,
    ets_time: ets !== null && Math.abs(ets) <= DATE_MS_MAX ? new Date(ets).toISOString() : null,
    syncts: integer(event['syncts']),
    user_id: text(event['uid']) ?? text(valueAt(event, 'actor', 'id')),
    object_id: text(valueAt(event, 'object', 'id')),
    object_type: text(valueAt(event, 'object', 'type')),
  };
}

function originColumns(context: RowContext, index: number): Readonly<Record<string, ColumnValue>> {
  const { record, dataset, provenance } = context;
  const { source } = provenance;
  return {
    dataset,
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    event_index: index,
    id: `${record.topic}:${record.partition}:${record.offset}`,
    job: provenance.job ?? null,
    source: source === undefined ? null : formatSource({ ...source, index: source.index + index }),
    received_at: integer(provenance.receivedAtMs) ?? integer(record.timeMs) ?? 0,
    code: provenance.code ?? null,
    reason: provenance.reason ?? null,
    pointer: provenance.pointer ?? null,
  };
}

function text(value: Json | undefined): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value === '' || value.length > TEXT_CHARACTERS_MAX) return null;
  // PostgreSQL takes no NUL in a text.
  return value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
}

function integer(value: Json | undefined): number | null {
  if (typeof value !== 'number') return null;
  const whole = Math.trunc(value) + 0;
  return Number.isSafeInteger(whole) ? whole : null;
}

function parse(raw: string): Json | undefined {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}
