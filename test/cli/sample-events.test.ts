import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadSchemas } from '../../src/adapters/schemas/ajv-schemas.ts';
import { sampleBatches } from '../../src/cli/sample-events.ts';
import { paceSamples } from '../../src/cli/send-sample.ts';
import { SCHEMAS_DIRECTORY } from '../../src/config/environment.ts';
import { isObject, type JsonObject, objectAt } from '../../src/core/event.ts';
import { collect } from '../collect.ts';

const NOW_MS = Date.UTC(2024, 4, 1);

function take(seed: number, batches: number): readonly JsonObject[] {
  const samples = sampleBatches({ seed, batchEvents: 20, nowMs: () => NOW_MS });
  return Array.from({ length: batches }, () => samples.next().value ?? {});
}

function eventsOf(batches: readonly JsonObject[]): readonly JsonObject[] {
  return batches.flatMap(batch => (Array.isArray(batch['events']) ? batch['events'].filter(isObject) : []));
}

describe('sampleBatches', () => {
  it('makes events of many types, each valid against its schema', async () => {
    const schemas = await loadSchemas(SCHEMAS_DIRECTORY);
    const events = eventsOf(take(1, 200));
    assert.deepEqual(
      schemas.validateEvents(events),
      events.map(() => null),
    );
    assert.ok(new Set(events.map(event => event['eid'])).size >= 12);
  });

  it('repeats no id within a seed, and all of them for the same seed', () => {
    const batches = take(7, 100);
    const mids = eventsOf(batches).map(event => event['mid']);
    assert.equal(new Set(mids).size, 2000);
    assert.equal(new Set(batches.map(batch => objectAt(batch, 'params')?.['msgid'])).size, 100);
    assert.deepEqual(take(7, 100), batches);
    const others = eventsOf(take(8, 100)).map(event => event['mid']);
    assert.equal(new Set([...mids, ...others]).size, 4000);
  });

  it('has no event from after the batch', () => {
    for (const event of eventsOf(take(3, 10))) assert.ok(Number(event['ets']) <= NOW_MS);
  });
});

describe('paceSamples', () => {
  it('makes as many events as asked for, the last batch smaller', async () => {
    const { signal } = new AbortController();
    const batches = await collect(paceSamples({ rate: Infinity, count: 45, seed: 1, signal }));
    assert.deepEqual(
      batches.map(batch => batch.events),
      [20, 20, 5],
    );
    assert.deepEqual(
      batches.map(batch => JSON.parse(Buffer.from(batch.bytes).toString()).events.length),
      [20, 20, 5],
    );
  });

  it('keeps to its rate, and ends with the signal', async () => {
    const stop = new AbortController();
    const startMs = performance.now();
    const timer = setTimeout(() => stop.abort(), 450);
    const batches = await collect(paceSamples({ rate: 100, count: Infinity, seed: 1, signal: stop.signal }));
    clearTimeout(timer);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 5000, `${tookMs} ms`);
    // 100 a second in batches of 20: one at 0, 200 and 400 ms; never more, fewer on a busy machine.
    assert.ok(batches.length >= 1 && batches.length <= 3, `${batches.length} batches`);
  });
});
