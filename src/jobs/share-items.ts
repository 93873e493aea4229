import { isObject, type Json, type JsonObject, midOf, objectAt, objectOf, valueAt } from '../core/event.ts';
import type { Item, JobDeps } from '../core/job.ts';
import { formatSource } from '../core/record.ts';

/** What one transfer of an item says. */
interface Transfer {
  readonly type: Json | undefined;
  readonly size: number;
}

/** What a SHARE event becomes. */
export interface ShareItems {
  /** In the order of the items. */
  readonly events: readonly JsonObject[];
  /** Counts items, also those with an empty list of transfers. */
  readonly itemCount: number;
}

/** Share items take no more than so many times the bytes of their SHARE event. */
const GROWTH_MAX = 32;
/** So few share items are never too many: each is its SHARE event's envelope and a few names and ids of ours. */
const TRANSFERS_FREE = 32;

/**
 * One SHARE_ITEM event for each transfer of each item of a SHARE event, or for the item where it lists none.
 * The mid is the share's with an id made from the event's place and the item's, so a replay makes the same events.
 * Source: pipeline-preprocessor of the original, newest generation.
 * @returns undefined where they would take more than 32 times the bytes of the event: a list of 350,000 empty
 *          transfers fits into an event, and each would become an event with the whole context
 */
export function shareItemsOf(item: Item, { uuid, byteLength }: ShareDeps): ShareItems | undefined {
  const { event } = item;
  const items = valueAt(objectAt(event, 'edata'), 'items');
  const shared = Array.isArray(items) ? items.filter(isObject) : [];
  if (isOutOfProportion(item, shared, byteLength)) return undefined;
  const place = formatSource(item.source);
  const shareType = valueAt(event, 'edata', 'type');
  const events = shared.flatMap((sharedItem, itemIndex) =>
    transfersOf(sharedItem, shareType).map((transfer, index) =>
      itemEventOf(item, { sharedItem, transfer, id: uuid(`${place}:share:${itemIndex}:${index}`) }),
    ),
  );
  return { events, itemCount: shared.length };
}

type ShareDeps = Pick<JobDeps, 'uuid' | 'byteLength'>;

/** What an item's event is made of beside the SHARE event. */
interface ItemParts {
  readonly sharedItem: JsonObject;
  readonly transfer: Transfer;
  readonly id: string;
}

function itemEventOf(item: Item, { sharedItem, transfer, id }: ItemParts): JsonObject {
  const { event } = item;
  return {
    ...envelopeOf(item),
    mid: `${midOf(event) ?? ''}-${id}`,
    edata: { dir: valueAt(event, 'edata', 'dir'), type: transfer.type, size: transfer.size },
    object: { ...describedItem(sharedItem), rollup: { l1: objectOf(event)?.id } },
  };
}

function describedItem(sharedItem: JsonObject): JsonObject {
  return { id: sharedItem['id'], ver: sharedItem['ver'], type: sharedItem['type'] };
}

const UUID_SAMPLE = '00000000-0000-5000-8000-000000000000';

/** Measures one event, and what tells each item's from it: the events themselves may be too many to be made. */
function isOutOfProportion(
  item: Item,
  shared: readonly JsonObject[],
  byteLength: ShareDeps['byteLength'],
): boolean {
  const counts = shared.map(({ params }) => (Array.isArray(params) ? params.length : 1));
  const count = counts.reduce((sum, transfers) => sum + transfers, 0);
  if (count <= TRANSFERS_FREE) return false;
  const bytesOf = (value: JsonObject): number => byteLength(JSON.stringify(value));
  const transfer = { type: valueAt(item.event, 'edata', 'type'), size: 0 };
  let bytes = count * bytesOf(itemEventOf(item, { sharedItem: {}, transfer, id: UUID_SAMPLE }));
  for (const [index, sharedItem] of shared.entries()) {
    if (counts[index]! > 0) bytes += counts[index]! * bytesOf(describedItem(sharedItem));
  }
  return bytes > GROWTH_MAX * bytesOf(item.event);
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
