import { isObject, type Json, type JsonObject, objectAt, valueAt } from '../../core/event.ts';
import { type Provenance, provenanceOf } from '../../core/headers.ts';
import { formatSource, type LogRecord } from '../../core/record.ts';
import { type ColumnValue, columnText, type RelationName, type TableRow } from '../../core/relations.ts';
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

// Longer texts would only swell the tables; `raw` holds them whole.
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

/** The values in the order of `RELATIONS`: written out, because looking each up by name took a quarter longer. */
function rowOf(relation: RelationName, context: RowContext, { value, raw, index }: RowEvent): TableRow {
  const { topic, partition, offset } = context.record;
  const values = eventValues(isObject(value) ? value : {});
  values.push(context.dataset, topic, partition, offset);
  if (relation === 'duplicates') values.push(index);
  pushOrigin(values, context, index);
  if (relation === 'failed' || relation === 'duplicates' || relation === 'dropped') {
    const { code, reason, pointer } = context.provenance;
    values.push(code ?? null, reason ?? null, pointer ?? null);
  }
  if (relation === 'failed') values.push(`${topic}:${partition}:${offset}`);
  if (relation !== 'assess' && relation !== 'dropped') values.push(raw);
  return { relation, values };
}

function eventValues(event: JsonObject): ColumnValue[] {
  const context = objectAt(event, 'context');
  const dimensions = objectAt(event, 'dimensions');
  const object = objectAt(event, 'object');
  const ets = integer(event['ets']);
  return [
    text(event['eid']),
    // However long: the store keeps its head and its digest, and whoever looks for it gives it whole.
    text(event['mid'], Number.POSITIVE_INFINITY),
    // Of device and channel the last is where a dropped event's short record has it.
    text(dimensions?.['did'] ?? context?.['did'] ?? event['did']),
    text(dimensions?.['channel'] ?? context?.['channel'] ?? event['channel']),
    text(valueAt(context, 'pdata', 'id') ?? valueAt(dimensions, 'pdata', 'id')),
    ets,
    ets !== null && Math.abs(ets) <= DATE_MS_MAX ? new Date(ets).toISOString() : null,
    integer(event['syncts']),
    text(event['uid']) ?? text(valueAt(event, 'actor', 'id')),
    text(object?.['id']),
    text(object?.['type']),
  ];
}

function pushOrigin(values: ColumnValue[], { record, provenance }: RowContext, index: number): void {
  const { job, source, receivedAtMs } = provenance;
  values.push(
    job ?? null,
    source === undefined ? null : formatSource({ ...source, index: source.index + index }),
    integer(receivedAtMs) ?? integer(record.timeMs) ?? 0,
  );
}

function text(value: Json | undefined, charactersMax = TEXT_CHARACTERS_MAX): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value === '' || value.length > charactersMax) return null;
  return columnText(value);
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
