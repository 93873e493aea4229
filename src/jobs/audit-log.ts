import { type JsonObject, objectAt, textAt } from '../core/event.ts';
import type { Item, JobDeps } from '../core/job.ts';
import { formatSource } from '../core/record.ts';
import { isoTime } from './times.ts';

/**
 * The LOG event that accounts for one opened batch: how many events it held, over which channel it came. Ids that
 * the batch does not bring are made from its place in the log, times are the record's: a replay makes the same event.
 */
export function auditLogOf(item: Item, eventCount: number, uuid: JobDeps['uuid']): JsonObject {
  const { event: batch, nowMs } = item;
  const place = formatSource(item.source);
  return {
    eid: 'LOG',
    ver: '3.0',
    ets: nowMs,
    syncts: nowMs,
    '@timestamp': isoTime(nowMs),
    mid: textAt(batch, 'mid') ?? uuid(`${place}:audit:mid`),
    actor: { id: 'sunbird.telemetry', type: 'telemetry-sync' },
    context: {
      channel: textAt(batch, 'channel') ?? 'in.sunbird',
      env: 'data-pipeline',
      sid: uuid(`${place}:audit:sid`),
      did: textAt(objectAt(batch, 'params'), 'did') ?? uuid(`${place}:audit:did`),
      pdata: { id: 'data-pipeline', pid: 'telemetry-extractor', ver: '3.0' },
    },
    object: { id: uuid(`${place}:audit:object`), ver: '3.0', type: 'telemetry-events', rollup: {} },
    edata: {
      level: 'INFO',
      type: 'telemetry_audit',
      message: 'telemetry sync',
      params: [{ ver: '3.0', events_count: eventCount, sync_status: 'SUCCESS' }],
    },
  };
}
