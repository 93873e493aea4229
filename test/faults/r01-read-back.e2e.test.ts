import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../src/core/event.ts';
import {
  archiveAll,
  assertConserved,
  batchOf,
  midsOf,
  post,
  recordsOf,
  rowsOf,
  startMillrace,
  validEvent,
} from './pipeline.ts';

const BATCHES = 120;
const SENDERS = 6;

/** Bodies whose bytes a careless reader changes: spacing, escapes, numbers, key order, other scripts. */
function bodyOf(index: number): string {
  const shapes: readonly JsonObject[] = [
    { text: 'ünïcödé \u{1f600} \u2028', empty: '' },
    { big: 12345678901234567000, small: 1e-7, zero: -0 },
    { nested: { list: [[], {}, [null, true]], '': 'no name' } },
    { quote: '"\\/\b\f', __proto__key: 1, constructor: 'c' },
  ];
  const events = [0, 1, 2].map(i => validEvent(`r01-${index}-${i}`, { note: shapes[(index + i) % 4]! }));
  const text = batchOf(`r01-${index}`, events);
  if (index % 3 === 0) return JSON.stringify(JSON.parse(text), null, 1 + (index % 4));
  return index % 3 === 1 ? text.replace(/"ver":"3\.0"/, '"ver" : "3\\u002e0", "n": 1.50e+1') : text;
}

test('R01 every acknowledged byte can be read back, everywhere', async context => {
  const millrace = await startMillrace(context);
  const bodies = Array.from({ length: BATCHES }, (_, index) => bodyOf(index));
  let next = 0;
  const send = async () => {
    while (next < bodies.length) assert.equal((await post(millrace, bodies[next++]!)).status, 200);
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
  assertConserved(await millrace.idle());

  const objects = await archiveAll(millrace);
  const ingested = objects.filter(({ topic }) => topic === 'local.telemetry.ingest');
  const cat = await millrace.run(['archive', 'cat', ...ingested.map(({ object }) => object)]);
  const lines = cat.stdout.split('\n').filter(line => line !== '');
  assert.equal(lines.length, BATCHES);
  for (const body of bodies) {
    // Stored on one line, with what the server adds before the last brace; all else as it was sent.
    const kept = body.replaceAll('\n', ' ').replace(/\s*}$/, '');
    assert.equal(lines.filter(line => line.startsWith(kept)).length, 1, kept.slice(0, 200));
  }

  const sent = new Map(
    bodies
      .flatMap(body => (JSON.parse(body) as { events: JsonObject[] }).events)
      .map(event => [event['mid'], event]),
  );
  const good = await recordsOf(millrace, 'druid.events.telemetry');
  assert.equal(good.length, sent.size);
  for (const { value } of good) {
    const event = value as JsonObject;
    for (const [key, member] of Object.entries(sent.get(event['mid']) ?? assert.fail('an invented event'))) {
      assert.deepEqual(event[key], member, key);
    }
  }
  const rows = await rowsOf(millrace, 'SELECT mid FROM events WHERE eid = \'IMPRESSION\' ORDER BY "offset"');
  assert.deepEqual(
    rows.map(({ mid }) => mid),
    await midsOf(millrace, 'druid.events.telemetry'),
  );
});
