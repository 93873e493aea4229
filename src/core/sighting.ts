import type { Sighting } from './ports.ts';
import type { Source } from './record.ts';

/**
 * Whether a mark speaks of another event than the one at hand, which makes that one a duplicate. Where the store
 * keeps positions, an event that meets its own mark is a replay and passes; where its partition set the mark later,
 * it is one too, and the mark before that one decides.
 *
 * @param sighting  what the mark of the event's key says; undefined where there is none
 * @param source    where the event came from
 * @param nowMs     the time of its input record
 */
export function isSeenElsewhere(sighting: Sighting | undefined, source: Source, nowMs: number): boolean {
  if (sighting === undefined || nowMs >= sighting.expiresAtMs) return false;
  const { source: first, before } = sighting;
  if (first === null) return true;
  if (isSameSource(first, source) || isOwn(before, source)) return false;
  if (first.topic !== source.topic || first.partition !== source.partition) return true;
  const isEarlier =
    first.offset < source.offset || (first.offset === source.offset && first.index < source.index);
  return isEarlier || isSeenElsewhere(before, source, nowMs);
}

/** Whether the event itself set the mark, or the one before it. */
export function isOwn(sighting: Sighting | undefined, source: Source): boolean {
  if (sighting?.source == null) return false;
  return isSameSource(sighting.source, source) || isOwn(sighting.before, source);
}

function isSameSource(a: Source, b: Source): boolean {
  return a.topic === b.topic && a.partition === b.partition && a.offset === b.offset && a.index === b.index;
}

/**
 * What a store holds of a key once a mark is set: the mark, and behind it the one whose place it took where that had
 * run out. The sighting itself where the event has set it before, or where it speaks of another event.
 *
 * @param ttlMs  how long the mark lives
 */
export function sightingWith(
  sighting: Sighting | undefined,
  { source, timeMs }: { readonly source: Source; readonly timeMs: number },
  ttlMs: number,
): Sighting {
  const mark = { source, expiresAtMs: timeMs + ttlMs };
  if (sighting === undefined) return mark;
  if (isOwn(sighting, source) || isSeenElsewhere(sighting, source, timeMs)) return sighting;
  if (timeMs < sighting.expiresAtMs) return mark;
  const { source: first, expiresAtMs } = sighting;
  return { ...mark, before: { source: first, expiresAtMs } };
}
