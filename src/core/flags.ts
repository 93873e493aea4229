import { type JsonObject, objectAt, type TelemetryEvent } from './event.ts';
import { union } from './shared-object.ts';

/** A copy of the event whose `flags` also hold the given ones, which are best shared; other flags are kept. */
export function withFlags(event: TelemetryEvent, flags: JsonObject): TelemetryEvent {
  return { ...event, flags: union(objectAt(event, 'flags'), flags) };
}
