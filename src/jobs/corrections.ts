import { actorIdOf, type Json, objectAt, objectOf, type TelemetryEvent, textAt } from '../core/event.ts';
import { share, union } from '../core/shared-object.ts';
import { isoTime, parseIsoMs, timeMsOf } from './times.ts';

const VALIDATED = share({ pp_validation_processed: true });

type Changed = Record<string, Json | undefined>;

/**
 * Corrections and defaults of a valid event, as a copy: ids of federated users and of QR codes, the key of dialcode
 * filters, the mark of having been validated, `type`, channel, and the two forms of the time of sync.
 * Source: pipeline-preprocessor of the original, in its order; docs/decisions/0003-stream-job-semantics.md.
 * @param nowMs  the time of sync where the event brings none that can be read
 */
export function correct(event: TelemetryEvent, channelDefault: string, nowMs: number): TelemetryEvent {
  const flags = union(objectAt(event, 'flags'), VALIDATED);
  const changed: Changed = { ...event, flags, type: 'events' };
  correctActor(event, changed);
  if (event['eid'] === 'SEARCH') correctDialcodeFilter(event, changed);
  correctObject(event, changed);
  const context = objectAt(event, 'context');
  const channel = textAt(context, 'channel') ?? '';
  if (channel.trim() === '') changed['context'] = { ...context, channel: channelDefault };
  correctTimes(event, changed, nowMs);
  return changed;
}

/** `f:<realm>:<id>` is how a federated login spells `<id>`. */
function correctActor(event: TelemetryEvent, changed: Changed): void {
  const id = actorIdOf(event);
  if (id?.startsWith('f:') !== true) return;
  changed['actor'] = { ...objectAt(event, 'actor'), id: id.slice(id.lastIndexOf(':') + 1) };
}

function correctDialcodeFilter(event: TelemetryEvent, changed: Changed): void {
  const filters = objectAt(event, 'edata', 'filters');
  const dialcodes = filters?.['dialCodes'];
  if (!Array.isArray(dialcodes) && textAt(filters, 'dialCodes') === undefined) return;
  const { dialCodes, ...others } = filters ?? {};
  changed['edata'] = { ...objectAt(event, 'edata'), filters: { ...others, dialcodes: dialCodes } };
}

function correctObject(event: TelemetryEvent, changed: Changed): void {
  const object = objectOf(event);
  if (object === undefined || !isDialcodeType(object.type)) return;
  changed['object'] = { ...objectAt(event, 'object'), id: object.id.toUpperCase() };
}

/** Whether an object of this type is a QR code: `dialcode` or `qr` in any case. */
export function isDialcodeType(type: string): boolean {
  const name = type.toLowerCase();
  return name === 'qr' || name === 'dialcode';
}

/** A time that cannot be read counts as absent: the original's task crashed on it. */
function correctTimes(event: TelemetryEvent, changed: Changed, nowMs: number): void {
  const sentMs = timeMsOf(event['syncts']);
  const syncts = sentMs ?? parseIsoMs(event['@timestamp']) ?? nowMs;
  if (sentMs === undefined || typeof event['syncts'] !== 'number') changed['syncts'] = syncts;
  if (textAt(event, '@timestamp') === undefined) changed['@timestamp'] = isoTime(syncts);
}
