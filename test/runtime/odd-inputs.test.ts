import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { createJobs } from '../../src/jobs/index.ts';
import { readPlanned, runRecords } from '../../src/runtime/batch.ts';
import { encodeEvent } from '../../src/runtime/encode.ts';
import { depsOf, fixture, NOW_MS, OPTIONS } from '../jobs/run-job.ts';

/** The texts that a record of an input topic becomes on the topics that the chain leaves to, by topic. */
async function textsOf(topic: string, value: string): Promise<Record<string, readonly string[]>> {
  const stores = {
    state: createMemoryState(OPTIONS.dedup.ttlMs),
    cache: { get: async (keys: readonly unknown[]) => keys.map(() => undefined) },
  };
  const record = { topic: `e.${topic}`, partition: 0, offset: 0, key: null, timeMs: NOW_MS, headers: {} };
  const { outputs } = await runRecords(
    {
      jobs: createJobs(depsOf()),
      inputs: ['telemetry.ingest', 'telemetry.derived'],
      isStored: () => true,
      ttlMs: OPTIONS.dedup.ttlMs,
      read: readPlanned.bind(null, stores),
    },
    'e',
    [{ ...record, value: Buffer.from(value) }],
  );
  const texts: Record<string, string[]> = {};
  for (const { event, origin, topic } of outputs) {
    const { head, from, to, tail } = encodeEvent(event, origin);
    texts[topic ?? 'none'] ??= [];
    texts[topic ?? 'none']!.push(Buffer.concat([head.subarray(from, to), Buffer.from(tail)]).toString());
  }
  return texts;
}

test('a byte order mark before a record is in none of the texts that come of it', async () => {
  const summary = fixture('valid/me_workflow_summary.json');
  const batch = { params: { msgid: 'm' }, events: [fixture('valid/end.json')] };
  const sent = { 'telemetry.derived': summary, 'telemetry.ingest': batch };
  for (const [topic, value] of Object.entries(sent)) {
    const marked = await textsOf(topic, `\ufeff${JSON.stringify(value)}`);
    assert.deepEqual(marked, await textsOf(topic, JSON.stringify(value)));
    for (const text of Object.values(marked).flat()) assert.equal(text[0], '{');
  }
});

test('an event with a null goes out without it; those beside it keep what was sent to the digit', async () => {
  const plain = '{"eid":"A","mid":"1","edata":{"n":12.50}}';
  const other = '{"eid":"A","mid":"2","x":1e2}';
  const withNull = '{"eid":"A","mid":"3","edata":{"n":12.50,"o":null},"tags":null}';
  const stamp = /,"syncts":.*$/;
  const opened = async (batch: string) =>
    (await textsOf('telemetry.ingest', batch))['telemetry.raw']!.map(text => text.replace(stamp, ''));
  const rawOf = (events: readonly string[]) => opened(`{"params":{"msgid":"m"},"events":[${events.join()}]}`);
  const kept = ['{"eid":"A","mid":"1","edata":{"n":12.50}', '{"eid":"A","mid":"2","x":1e2'];
  const made = '{"eid":"A","mid":"3","edata":{"n":12.5}';

  assert.deepEqual(await rawOf([plain, other]), kept);
  assert.deepEqual(await rawOf([plain, withNull, other]), [kept[0], made, kept[1]]);
  assert.deepEqual(await rawOf([withNull, plain, withNull]), [made, kept[0], made]);
  // Only what held the null is made anew.
  assert.deepEqual(await rawOf(['{"eid":null,"x":[12.50,null],"edata":{"n":1}}']), [
    '{"x":[12.50,null],"edata":{"n":1}',
  ]);
  // Nulls outside of the events change nothing for them, and neither does a name with an escape.
  assert.deepEqual(await opened(`{"did":null,"events":[${plain},${withNull}],"e":null}`), [kept[0], made]);
  assert.deepEqual(await opened(`{"\\u0061":null,"events":[${plain},${withNull}]}`), [kept[0], made]);
  // Where elements are no containers nobody says which text is whose.
  assert.deepEqual(await rawOf(['null', withNull, plain]), [made, '{"eid":"A","mid":"1","edata":{"n":12.5}']);
});
