import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openTableReader } from '../../src/adapters/tables/sqlite-tables.ts';
import type { EventFilter, EventOutcome, EventRow, EventsDocument } from '../../src/core/documents.ts';
import { headersOf } from '../../src/core/headers.ts';
import type { TableReader } from '../../src/core/ports.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { atEnd, ENVIRONMENT, logRecord, NOW_MS, openScratchTables } from './setting.ts';

const TOPICS = {
  emit: 'druid.events.telemetry',
  reject: 'telemetry.failed',
  drop: 'telemetry.dropped',
  duplicate: 'telemetry.duplicate',
} as const;
const OUTCOMES = Object.keys(TOPICS) as (keyof typeof TOPICS)[];

/** An event as it is put in, few values each so that filters match some. */
const event: fc.Arbitrary<Given> = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  receivedAtMs: fc.integer({ min: NOW_MS, max: NOW_MS + 5 }),
  eid: fc.constantFrom('START', 'END'),
  mid: fc.constantFrom('m1', 'm2', 'm3'),
  did: fc.constantFrom('d1', 'd2'),
  channel: fc.constantFrom('c1', 'c2'),
  user: fc.constantFrom('u1', 'u2'),
});
interface Given {
  readonly outcome: EventOutcome;
  readonly receivedAtMs: number;
  readonly eid: string;
  readonly mid: string;
  readonly did: string;
  readonly channel: string;
  readonly user: string;
}

const optional = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
const filter = fc.record({
  outcome: optional(OUTCOMES),
  mid: optional(['m1', 'none']),
  did: optional(['d1']),
  channel: optional(['c1']),
  eid: optional(['START']),
  user: optional(['u1']),
  fromMs: optional([NOW_MS + 1]),
  toMs: optional([NOW_MS + 4]),
  limit: fc.integer({ min: 1, max: 7 }),
});

test('pages hold exactly the events that match, newest first, each once', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), filter, async (events, chosen) => {
      const { file, tables } = await openScratchTables(t);
      await tables.insert(events.flatMap(rowsOf));
      const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
      const found = await readAll(reader, defined(chosen));
      await reader.close();
      assert.deepEqual(
        found.map(({ offset }) => offset).sort((a, b) => a - b),
        events.flatMap((given, offset) => (matches(given, chosen) ? [offset] : [])),
      );
      const times = found.map(({ receivedAtMs }) => receivedAtMs);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => b - a),
      );
    }),
    { numRuns: 30 },
  );
});

test('a page looks at a bounded number of rows, and the pages together at all', async t => {
  const { file, tables } = await openScratchTables(t);
  const given: Given = {
    outcome: 'emit',
    receivedAtMs: NOW_MS,
    eid: 'START',
    mid: 'm',
    did: 'd',
    channel: 'c',
    user: 'u',
  };
  const many = Array.from({ length: 21_000 }, (_, at) => ({
    ...given,
    receivedAtMs: NOW_MS + Math.floor(at / 100),
    eid: at === 3 ? 'END' : 'START',
  }));
  await tables.insert(many.flatMap(rowsOf));
  const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
  atEnd(t, () => reader.close());
  const first = await reader.events({ eid: 'END' });
  assert.deepEqual(first.events, [], 'the match lies 20,996 rows back');
  assert.notEqual(first.next, null);
  const second = await reader.events({ eid: 'END', after: first.next! });
  const third = await reader.events({ eid: 'END', after: second.next! });
  assert.deepEqual(
    third.events.map(({ offset }) => offset),
    [3],
  );
  assert.equal(third.next, null);
  assert.equal(
    (await reader.events({ did: 'd', eid: 'END' })).events.length,
    0,
    'an index narrows, the bound stays',
  );
});

test('one event is shown with its record, its cause and where it came from', async t => {
  const { file, tables } = await openScratchTables(t);
  const record = logRecord('telemetry.failed', '{"eid":"START","mid":"a"}', {
    offset: 7,
    headers: headersOf(
      {
        source: { topic: 'telemetry.ingest', partition: 0, offset: 4, index: 2 },
        nowMs: NOW_MS,
        job: 'validate',
      },
      { code: 'ERR_SCHEMA_VIOLATION', reason: 'is required', pointer: '/actor' },
    ),
  });
  await tables.insert(tableRowsOf(record, ENVIRONMENT));
  const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
  atEnd(t, () => reader.close());
  const [row] = (await reader.events({})).events;
  const found = await reader.event(row!.id);
  assert.equal(found.id, 'reject:local.telemetry.failed:0:7:0');
  assert.deepEqual(found.source, { topic: 'local.telemetry.ingest', partition: 0, offset: 4, index: 2 });
  assert.deepEqual(found.event, { eid: 'START', mid: 'a' });
  assert.deepEqual(
    [found.code, found.reason, found.pointer],
    ['ERR_SCHEMA_VIOLATION', 'is required', '/actor'],
  );
  for (const id of [
    '',
    'reject:local.telemetry.failed:0:8:0',
    'emit:local.telemetry.failed:0:7:0',
    "x' OR 1",
  ]) {
    await assert.rejects(reader.event(id), { code: 'ERR_NOT_FOUND' }, id);
  }
  await assert.rejects(reader.events({ after: '1:9:1' }), { code: 'ERR_REQUEST_INVALID' });
  assert.deepEqual(await reader.lastTimes(), { receivedAtMs: null, rejectedAtMs: NOW_MS });
});

function rowsOf(given: Given, offset: number) {
  const value = {
    eid: given.eid,
    mid: given.mid,
    context: { did: given.did, channel: given.channel },
    actor: { id: given.user },
  };
  const record = logRecord(TOPICS[given.outcome], JSON.stringify(value), {
    offset,
    headers: headersOf(
      {
        source: { topic: 'telemetry.ingest', partition: 0, offset, index: 0 },
        nowMs: given.receivedAtMs,
        job: 'route',
      },
      { code: null, reason: null, pointer: null },
    ),
  });
  return tableRowsOf(record, ENVIRONMENT);
}

async function readAll(reader: TableReader, chosen: EventFilter): Promise<readonly EventRow[]> {
  const found: EventRow[] = [];
  let after: string | null = null;
  do {
    const page: EventsDocument = await reader.events({ ...chosen, ...(after === null ? {} : { after }) });
    assert.ok(page.events.length <= (chosen.limit ?? 100));
    found.push(...page.events);
    after = page.next;
  } while (after !== null);
  return found;
}

function matches(
  given: Given,
  chosen: Partial<Record<keyof EventFilter, string | number | undefined>>,
): boolean {
  const isSame = (name: 'outcome' | 'mid' | 'did' | 'channel' | 'eid' | 'user'): boolean =>
    chosen[name] === undefined || chosen[name] === given[name];
  return (
    (['outcome', 'mid', 'did', 'channel', 'eid', 'user'] as const).every(isSame) &&
    given.receivedAtMs >= Number(chosen.fromMs ?? 0) &&
    given.receivedAtMs < Number(chosen.toMs ?? Number.POSITIVE_INFINITY)
  );
}

function defined(chosen: object): EventFilter {
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}
