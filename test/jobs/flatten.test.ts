import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, type JsonObject, objectAt } from '../../src/core/event.ts';
import { createFlatten } from '../../src/jobs/flatten.ts';
import { depsOf, emissionsOf, fixture, itemsOf, NOW_MS, outcomesOf, run, topicCounts } from './run-job.ts';

const job = createFlatten(depsOf());
const flatten = (...events: readonly Json[]) => run(job, itemsOf('telemetry.deduplicated', events));
const share = { ...fixture('valid/share.json'), flags: { pp_validation_processed: true }, '@timestamp': 'x' };

test('each eid has its topics', () => {
  const topicsOf = (name: string) => topicCounts(flatten(fixture(`valid/${name}.json`)));
  const primary = { 'telemetry.unique.primary': 1, 'telemetry.unique': 1 };
  const secondary = { 'telemetry.unique.secondary': 1, 'telemetry.unique': 1 };
  assert.deepEqual(topicsOf('error'), { 'telemetry.error': 1 });
  assert.deepEqual(topicsOf('audit'), { ...primary, 'telemetry.audit': 1 });
  assert.deepEqual(topicsOf('interact'), secondary);
  assert.deepEqual(topicsOf('impression'), secondary);
  for (const name of ['start', 'end', 'search', 'assess', 'interrupt', 'summary']) {
    assert.deepEqual(topicsOf(name), primary, name);
  }
});

test('the routes are counted by event', () => {
  const names = ['error', 'audit', 'interact', 'share', 'end'];
  const result = flatten(...names.map(name => fixture(`valid/${name}.json`)));
  assert.deepEqual(result.counters, {
    error_route_success_count: 1,
    audit_route_success_count: 1,
    share_route_success_count: 1,
    primary_route_success_count: 4,
    denorm_primary_route_success_count: 3,
    denorm_secondary_route_success_count: 1,
    share_item_event_success_count: 3,
  });
});

test('a SHARE goes to its branch as it was and is kept with the flag of having been flattened', () => {
  const [own, kept] = emissionsOf(flatten(share));
  assert.deepEqual([own?.topic, own?.event], ['telemetry.unique.primary', share]);
  assert.deepEqual(kept?.event, {
    ...share,
    flags: { pp_validation_processed: true, pp_share_event_processed: true },
    type: 'events',
  });
});

test('each transfer of an item, or the item that lists none, is a SHARE_ITEM on two topics', () => {
  const result = flatten(share);
  const derived = result.verdicts[0]?.derived ?? [];
  assert.deepEqual(
    derived.map(({ topic }) => topic),
    [0, 1, 2].flatMap(() => ['telemetry.unique.secondary', 'telemetry.unique']),
  );
  const items = derived.filter(({ topic }) => topic === 'telemetry.unique').map(({ event }) => event);
  assert.deepEqual(
    items.map(event => event['edata']),
    [
      { dir: 'Out', type: 'download', size: 1_048_576 },
      { dir: 'Out', type: 'import', size: 2048 },
      { dir: 'Out', type: 'File', size: 0 },
    ],
  );
  assert.deepEqual(items[2]?.['object'], {
    id: 'do_31302000000000000001',
    ver: '1',
    type: 'Content',
    rollup: { l1: 'do_31307360997695488012' },
  });
  assert.equal(new Set(items.map(({ mid }) => mid)).size, 3);
  const { mid, edata, object, ...envelope } = JSON.parse(JSON.stringify(items[0])) as JsonObject;
  assert.match(String(mid), /^SHARE:0f3c9a71b25e4d8009-[0-9a-f-]{36}$/);
  assert.deepEqual(envelope, {
    eid: 'SHARE_ITEM',
    ver: '3.0',
    ets: share['ets' as keyof typeof share],
    syncts: NOW_MS,
    actor: share['actor' as keyof typeof share],
    context: share['context' as keyof typeof share],
  });
});

test('where the branch of items is the primary one they go there', () => {
  const deps = depsOf({ flatten: { secondaryEids: [] } });
  const result = run(createFlatten(deps), itemsOf('telemetry.deduplicated', [share]));
  assert.deepEqual(topicCounts(result), { 'telemetry.unique.primary': 4, 'telemetry.unique': 4 });
});

test('odd transfers count as none, odd items are no items', () => {
  const params = [{ transfers: 'x', size: [] }, 'p', { transfers: -1 }, { transfers: '0' }];
  const edata = { items: [null, 'x', { id: 'a', params }, { id: 'b', params: {} }], type: 'Link' };
  const result = flatten({ eid: 'SHARE', mid: 'm', edata });
  const derived = (result.verdicts[0]?.derived ?? []).filter(({ topic }) => topic === 'telemetry.unique');
  assert.deepEqual(
    derived.map(({ event }) => event['edata'] as JsonObject).map(({ type, size }) => [type, size]),
    [
      ['download', 0],
      ['download', 0],
      ['import', 0],
      ['download', 0],
      ['Link', 0],
    ],
  );
  assert.deepEqual(objectAt(derived[0]?.event, 'object', 'rollup'), { l1: undefined });
  assert.equal(result.counters['share_item_event_success_count'], 2);
  assert.deepEqual(flatten({ eid: 'SHARE', edata: { items: {} } }).verdicts[0]?.derived, []);
});

test('items out of all proportion to their SHARE are not made; the event is rejected', () => {
  const empty = fixture('invalid/ERR_SHARE_TOO_LARGE/empty-transfers.json');
  const [item] = (empty['edata'] as JsonObject)['items'] as readonly JsonObject[];
  const withItem = (changes: JsonObject): JsonObject => ({
    ...empty,
    edata: { ...(empty['edata'] as JsonObject), items: [{ ...item, ...changes }] },
  });
  const million = new Array<Json>(1_000_000).fill({});
  const long = withItem({ id: 'x'.repeat(100_000), params: new Array<Json>(10_000).fill({}) });
  for (const event of [empty, withItem({ params: million }), long]) {
    const result = flatten(event);
    const [outcome] = outcomesOf(result);
    assert.ok(outcome?.kind === 'reject');
    assert.deepEqual([outcome.code, outcome.pointer], ['ERR_SHARE_TOO_LARGE', '/edata/items']);
    assert.deepEqual(outcome.emission, {
      topic: 'telemetry.failed',
      key: '2d8f6b1c94a0e7735b1f20c6d9ae4410',
      event: { ...event, metadata: { validation_error: '/edata/items', src: 'PipelinePreprocessor' } },
    });
    assert.deepEqual(result.verdicts[0]?.derived, []);
    assert.deepEqual(result.counters, {});
  }
});

test('many transfers that say something, and few of any kind, are in proportion', () => {
  const transfers = (count: number, transfer: JsonObject): JsonObject => ({
    ...share,
    edata: { items: [{ id: 'do_1', type: 'Content', ver: '1', params: new Array(count).fill(transfer) }] },
  });
  for (const [count, transfer] of [
    [5000, { transfers: 0, size: 1_048_576 }],
    [32, {}],
  ] as const) {
    const result = flatten(transfers(count, transfer));
    assert.equal(result.verdicts[0]?.derived.length, 2 * count);
    assert.equal(result.counters['share_item_event_success_count'], 1);
  }
});
