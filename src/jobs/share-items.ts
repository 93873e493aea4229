import { isObject, type Json, type JsonObject, midOf, objectAt, objectOf, valueAt } from '../core/event.ts';
import type { Item, JobDeps } from '../core/job.ts';
import { formatSource } from '../core/record.ts';

/** What one transfer of an item says. */
interface Transfer {
  readonly type: Json | undefined;
  readonly size: number;
}

/**
 * One SHARE_ITEM event for each transfer of each item of a SHARE event, or for the item where it lists none.
 * The mid is the share's with an id made from the event's place and the item's, so a replay makes the same events.
 * Source: pipeline-preprocessor of the original, newest generation.
 * @returns events in the order of the items; `itemCount` counts items, also those with an empty list of transfers
 */
export function shareItemsOf(
  item: Item,
  uuid: JobDeps['uuid'],
): { readonly events: readonly JsonObject[]; readonly itemCount: number } {
  const { event } = item;
  const edata = objectAt(event, 'edata');
  const items = valueAt(edata, 'items');
  const shared = Array.isArray(items) ? items.filter(isObject) : [];
  const place = formatSource(item.source);
  const events = shared.flatMap((sharedItem, itemIndex) =>
    transfersOf(sharedItem, edata?.['type']).map((transfer, index) => ({
      ...envelopeOf(item),
      mid: `${midOf(event) ?? ''}-${uuid(`${place}:share:${itemIndex}:${index}`)}`,
      edata: { dir: edata?.['dir'], type: transfer.type, size: transfer.size },
      object: {
        id: sharedItem['id'],
        ver: sharedItem['ver'],
        type: sharedItem['type'],
        rollup: { l1: objectOf(event)?.id },
      },
    })),
  );
  return { events, itemCount: shared.length };
}

function transfersOf(sharedItem: JsonObject, shareType: Json | undefined): readonly Transfer[] {
  const { params } = sharedItem;
  if (!Array.isArray(params)) return [{ type: shareType, size: 0 }];
  return params.map((param: Json) => ({
    type: numberOf(valueAt(param, 'transfers')) === 0 ? 'download' : 'import',
    size: numberOf(valueAt(param, 'size')),
  }));
}

/** The value as a number, also from a text; 0 where it is neither. */
function numberOf(value: Json | undefined): number {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : 0;
}

/** What an item's event shares with the SHARE event; neither flags, `type` nor `@timestamp`. */
function envelopeOf({ event, nowMs }: Item): JsonObject {
  const { ets, tags } = event;
  const actor = objectAt(event, 'actor');
  const context = objectAt(event, 'context');
  return {
    eid: 'SHARE_ITEM',
    ver: '3.0',
    ets,
    syncts: event['syncts'] ?? nowMs,
    tags,
    actor: { id: actor?.['id'], type: actor?.['type'] },
    context: {
      channel: context?.['channel'],
      env: context?.['env'],
      sid: context?.['sid'],
      did: context?.['did'],
      pdata: context?.['pdata'],
      cdata: context?.['cdata'],
      rollup: context?.['rollup'],
    },
  };
}
