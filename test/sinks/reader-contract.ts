import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EventsDocument, FailedDocument, FailedFilter } from '../../src/core/documents.ts';
import { headersOf } from '../../src/core/headers.ts';
import type { ArchiveIndex, TableReader, TableStore } from '../../src/core/ports.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { defined, event, filter, type Given, matches, readAll, rowsOf } from './event-model.ts';
import { ENVIRONMENT, logRecord, NOW_MS } from './setting.ts';

/** Empty tables, opened for writing, and the reader of them. */
export interface ReaderSetting {
  readonly tables: TableStore & ArchiveIndex;
  readonly reader: TableReader;
}

/** What the look-ups answer, whatever store the rows are in. */
export const READER_CONTRACT: Readonly<Record<string, (setting: ReaderSetting) => Promise<void>>> = {
  'pages hold exactly the events that match, newest first, each once': async ({ tables, reader }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), filter, async (events, chosen) => {
        while ((await tables.expire(Number.MAX_SAFE_INTEGER, 1000)) > 0);
        await tables.insert(events.flatMap(rowsOf));
        const found = await readAll(reader, defined(chosen));
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
  },

  'a page looks at a bounded number of rows, and the pages together at all': async ({ tables, reader }) => {
    const many = Array.from({ length: 21_000 }, (_, at) => ({
      ...GIVEN,
      receivedAtMs: NOW_MS + Math.floor(at / 100),
      eid: at === 3 ? 'END' : 'START',
    }));
    await tables.insert(many.flatMap(rowsOf));
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
    const narrowed = await reader.events({ did: 'd', eid: 'END' });
    assert.equal(narrowed.events.length, 0, 'an index narrows, the bound stays');
  },

  'one event is shown with its record, its cause and where it came from': async ({ tables, reader }) => {
    await tables.insert(failedRows(7, '{"eid":"START","mid":"a"}'));
    const [row] = (await reader.events({})).events;
    const found = await reader.event(row!.id);
    assert.equal(found.id, 'reject:local.telemetry.failed:0:7:0');
    assert.deepEqual(found.source, { topic: 'local.telemetry.ingest', partition: 0, offset: 7, index: 2 });
    assert.deepEqual(found.event, { eid: 'START', mid: 'a' });
    assert.deepEqual(
      [found.code, found.reason, found.pointer],
      ['ERR_SCHEMA_VIOLATION', 'is required', '/actor'],
    );
    assert.deepEqual(await reader.lastTimes(), { receivedAtMs: null, rejectedAtMs: NOW_MS + 7 });
    assert.ok((await reader.sizeBytes()) > 0);
  },

  'what is not there, or is no name, is said so': async ({ tables, reader }) => {
    await tables.insert(failedRows(7, '{}'));
    const events = [
      '',
      'reject:local.telemetry.failed:0:8:0',
      'emit:local.telemetry.failed:0:7:0',
      "x' OR 1",
    ];
    // Beyond what a column of 32 or 64 bits holds.
    const large = ['t:99999999999:0', 't:4294967296:0', 't:0:99999999999999999999', 't:0:9999999999999999'];
    for (const id of [...events, ...large.map(position => `reject:${position}:0`)]) {
      await assert.rejects(reader.event(id), { code: 'ERR_NOT_FOUND' }, id);
    }
    for (const id of ['', 'x', 'local.telemetry.failed:0:99', ...large]) {
      await assert.rejects(reader.failedEvent(id), { code: 'ERR_NOT_FOUND' }, id);
    }
    for (const after of ['', '1:9:1', 'x', '1:0:t:1', '1:3:t:0:1', '1:0:t:0:1:1']) {
      await assert.rejects(reader.events({ after }), { code: 'ERR_REQUEST_INVALID' }, after);
    }
    await assert.rejects(reader.failed({ after: '1:t:0:1:1' }), { code: 'ERR_REQUEST_INVALID' });
    const odd = { fromMs: -1e300, toMs: 1.5 };
    assert.deepEqual([await reader.events(odd), await reader.failed(odd)], [NO_EVENTS, NO_FAILED]);
    assert.deepEqual(await reader.trace("' OR 1=1 --"), { mid: "' OR 1=1 --", sightings: [] });
  },

  'rejected events are paged newest first, each once, under every filter': async ({ tables, reader }) => {
    for (let i = 0; i < 40; i++) {
      const code = i % 3 === 0 ? 'ERR_SCHEMA_NOT_FOUND' : 'ERR_SCHEMA_VIOLATION';
      const job = i % 2 === 0 ? 'validate' : 'route';
      // Several of the same time: the order must not depend on it.
      const nowMs = NOW_MS + Math.floor(i / 5);
      await tables.insert(failedRows(i, JSON.stringify({ mid: `m${i}`, i }), { code, job, nowMs }));
    }
    const expected = (keep: (i: number) => boolean) =>
      Array.from({ length: 40 }, (_, i) => 39 - i)
        .filter(keep)
        .map(i => `m${i}`);
    const cases: readonly (readonly [FailedFilter, (i: number) => boolean])[] = [
      [{}, () => true],
      [{ code: 'ERR_SCHEMA_NOT_FOUND' }, i => i % 3 === 0],
      [{ job: 'route' }, i => i % 2 === 1],
      [{ job: 'route', code: 'ERR_SCHEMA_NOT_FOUND' }, i => i % 6 === 3],
      [{ fromMs: NOW_MS + 2, toMs: NOW_MS + 4 }, i => i >= 10 && i < 20],
    ];
    for (const [chosen, keep] of cases) {
      assert.deepEqual(await allFailed(reader, chosen), expected(keep), JSON.stringify(chosen));
    }
    const { failed } = await reader.failed({ limit: 1 });
    const { event, ...row } = await reader.failedEvent(failed[0]!.id);
    assert.deepEqual([row, event], [failed[0], { mid: 'm39', i: 39 }]);
  },

  'a trace tells where an event ended, and its line in the archive': async ({ tables, reader }) => {
    const value = '{"eid":"START","mid":"x"}';
    const origin = `local.telemetry.ingest:0:3:0 ${NOW_MS} route`;
    const record = logRecord('druid.events.telemetry', value, { offset: 5, headers: { origin } });
    await tables.insert(tableRowsOf(record, ENVIRONMENT));
    const common = {
      topic: record.topic,
      partition: 0,
      date: '2024-05-01',
      sha256: 'x',
      epoch: 1,
      parts: 1,
      part: 1,
    };
    const sizes = { records: 2, sizeBytes: 9 };
    await tables.addEntries([
      {
        ...common,
        ...sizes,
        object: 'a',
        fromOffset: 0,
        toOffset: 4,
        runs: [{ fromOffset: 0, toOffset: 4 }],
      },
      {
        ...common,
        ...sizes,
        object: 'b',
        fromOffset: 4,
        toOffset: 9,
        runs: [{ fromOffset: 5, toOffset: 9 }],
      },
      {
        ...common,
        ...sizes,
        object: 'c',
        fromOffset: 9,
        toOffset: 11,
        runs: [{ fromOffset: 9, toOffset: 11 }],
      },
    ]);
    const [sighting] = (await reader.trace('x')).sightings;
    assert.deepEqual(sighting?.archive, [{ object: 'b', line: 1 }]);
    assert.deepEqual(sighting?.source, {
      topic: 'local.telemetry.ingest',
      partition: 0,
      offset: 3,
      index: 0,
    });
    assert.deepEqual(sighting?.stages.at(-1), {
      stage: 'route',
      timeMs: NOW_MS,
      topic: record.topic,
      partition: 0,
      offset: 5,
      outcome: 'emit',
      code: null,
      reason: null,
      pointer: null,
    });
  },

  'a row that is there already is left as it is': async ({ tables, reader }) => {
    await tables.insert(failedRows(0, '{"mid":"a"}'));
    await tables.insert([...failedRows(0, '{"mid":"b"}'), ...failedRows(1, '{"mid":"c"}')]);
    assert.deepEqual(await allFailed(reader, {}), ['c', 'a']);
  },

  'texts come back as they were, whatever is in them': async ({ tables, reader }) => {
    const raws = [
      'a\0b',
      '\0',
      '\uffff',
      '\uffff0\0\uffff\uffff',
      'é😀\u2028',
      '\\x00',
      '{"mid":"a\\u0000b"}',
      '',
    ];
    for (const [offset, raw] of raws.entries()) {
      await tables.insert(failedRows(offset, raw, { reason: `why \0 ${raw}`, pointer: '/\0' }));
    }
    for (const [offset, raw] of raws.entries()) {
      const { event, reason, pointer } = await reader.failedEvent(`local.telemetry.failed:0:${offset}`);
      const expected = raw.startsWith('{') ? JSON.parse(raw) : raw;
      assert.deepEqual([event, reason, pointer], [expected, `why \0 ${raw}`, '/\0'], JSON.stringify(raw));
    }
    await tables.insert(failedRows(100, JSON.stringify({ mid: 'half \ud83d', ets: 1 })));
    const [half] = (await reader.trace('half \ud83d')).sightings;
    assert.equal(half?.source.offset, 100, 'half a character is kept as U+FFFD and found by itself');
  },

  'long keys are stored, found whole, and told apart by their ends': async ({ tables, reader }) => {
    // Nothing that compresses: an index entry of PostgreSQL ends at 2704 bytes.
    const long = Array.from({ length: 8000 }, (_, i) =>
      String.fromCharCode(0x4e00 + ((i * 7919) % 20_000)),
    ).join('');
    const mids = [`${long}a`, `${long}b`, long.slice(0, 256), `${long.slice(0, 256)}c`];
    for (const [offset, mid] of mids.entries()) {
      const value = JSON.stringify({ mid, context: { did: mid }, actor: { id: mid } });
      await tables.insert(failedRows(offset, value, { code: mid, job: mid }));
    }
    for (const [offset, mid] of mids.entries()) {
      const { sightings } = await reader.trace(mid);
      assert.deepEqual(
        sightings.map(({ source }) => source.offset),
        [offset],
      );
      for (const chosen of [{ mid }, { did: mid }, { user: mid }]) {
        assert.deepEqual(
          (await reader.events(chosen)).events.map(row => row.offset),
          [offset],
        );
      }
      const { failed } = await reader.failed({ code: mid, job: mid });
      assert.deepEqual(
        failed.map(row => row.offset),
        [offset],
      );
    }
    // Past 8192 characters other columns are empty; the event is stored whole all the same, and found by its mid.
    const actor = { id: long + long };
    await tables.insert(failedRows(10, JSON.stringify({ mid: long + long, actor })));
    const { mid, event } = await reader.failedEvent('local.telemetry.failed:0:10');
    assert.deepEqual(event, { mid: long + long, actor });
    assert.equal(mid?.length, 256, 'its short form');
    const [row] = (await reader.events({ mid: long + long })).events;
    assert.deepEqual([row?.offset, row?.userId], [10, null]);
    for (const asked of [long + long, mid ?? '']) {
      assert.deepEqual(
        (await reader.trace(asked)).sightings.map(({ source }) => source.offset),
        [10],
        'found by the whole and by the short form',
      );
    }
  },

  'an event whose mid, device or person holds NUL is found by what the client sent': async ({
    tables,
    reader,
  }) => {
    const long = `${'n'.repeat(300)}\0`;
    for (const [offset, name] of ['a\0b', '\0', long].entries()) {
      const value = { eid: name, mid: name, context: { did: name, channel: name }, actor: { id: name } };
      await tables.insert(failedRows(offset, JSON.stringify(value)));
      assert.deepEqual(
        (await reader.trace(name)).sightings.map(({ source }) => source.offset),
        [offset],
      );
      for (const chosen of [{ mid: name }, { did: name }, { user: name }, { eid: name, channel: name }]) {
        assert.deepEqual(
          (await reader.events(chosen)).events.map(row => row.offset),
          [offset],
          JSON.stringify(chosen),
        );
      }
      const { event } = await reader.failedEvent(`local.telemetry.failed:0:${offset}`);
      assert.deepEqual(event, value);
    }
  },

  'numbers beyond the columns are kept in the record alone': async ({ tables, reader }) => {
    const times = ['1e300', '9223372036854775808', '9007199254740993', '1.5', '-0', '"x"', 'null', '8.65e15'];
    for (const [offset, ets] of times.entries()) await tables.insert(failedRows(offset, `{"ets":${ets}}`));
    const { events } = await reader.events({});
    assert.deepEqual(events.map(({ ets }) => ets).reverse(), [null, null, null, 1, 0, null, null, 8.65e15]);
    assert.equal(Object.is(events.at(-5)?.ets, -0), false);
    const whole = await reader.failedEvent('local.telemetry.failed:0:0');
    assert.deepEqual(whole.event, { ets: 1e300 });
  },
};

const NO_EVENTS: EventsDocument = { events: [], next: null };
const NO_FAILED: FailedDocument = { failed: [], next: null };
const GIVEN: Given = {
  outcome: 'emit',
  receivedAtMs: NOW_MS,
  eid: 'START',
  mid: 'm',
  did: 'd',
  channel: 'c',
  user: 'u',
};

/** The row of a rejected event that came in at the same offset. */
function failedRows(
  offset: number,
  value: string,
  {
    nowMs = NOW_MS + offset,
    job = 'validate',
    ...cause
  }: { nowMs?: number; job?: string; code?: string; reason?: string; pointer?: string } = {},
) {
  const source = { topic: 'telemetry.ingest', partition: 0, offset, index: 2 };
  const { code = 'ERR_SCHEMA_VIOLATION', reason = 'is required', pointer = '/actor' } = cause;
  const headers = headersOf({ source, nowMs, job }, { code, reason, pointer });
  return tableRowsOf(logRecord('telemetry.failed', value, { offset, headers }), ENVIRONMENT);
}

async function allFailed(reader: TableReader, chosen: FailedFilter): Promise<readonly (string | null)[]> {
  const mids: (string | null)[] = [];
  let after: string | null = null;
  do {
    const page: FailedDocument = await reader.failed({
      ...chosen,
      limit: 7,
      ...(after !== null && { after }),
    });
    mids.push(...page.failed.map(row => row.mid));
    after = page.next;
  } while (after !== null);
  return mids;
}
