import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { FailedDocument, TraceDocument } from '../../src/core/documents.ts';
import type { JsonObject } from '../../src/core/event.ts';
import { Millrace } from '../e2e/millrace.ts';
import {
  assertConserved,
  batchOf,
  endsOf,
  invalidEvent,
  midsOf,
  post,
  recordsOf,
  until,
  validEvent,
} from './pipeline.ts';

describe('hostile and odd inputs', () => {
  let millrace: Millrace;
  before(async () => {
    millrace = await Millrace.create();
    await millrace.up();
  });
  after(() => millrace?.remove());

  it('R14 poison in a topic: one failed record each, neighbours unharmed', async () => {
    const poison: Readonly<Record<string, Buffer>> = {
      'truncated JSON': Buffer.from('{"events":[{"mid":"r14'),
      'not UTF-8': Buffer.concat([
        Buffer.from('{"events":["'),
        Buffer.from([0xc3, 0x28, 0xff]),
        Buffer.from('"]}'),
      ]),
      'a surrogate as UTF-8': Buffer.concat([
        Buffer.from('{"a":"'),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from('"}'),
      ]),
      'a raw NUL': Buffer.from('{"events":["\0"]}'),
      'an array': Buffer.from('[1]'),
      'a number': Buffer.from('1e400'),
      'two objects': Buffer.from('{}{}'),
    };
    const good = (i: number) => Buffer.from(batchOf(`r14-good-${i}`, [validEvent(`r14-good-${i}`)]));
    const lines = Object.values(poison).flatMap((bytes, i) => [bytes, good(i)]);
    const file = join(tmpdir(), `millrace-poison-${process.pid}.jsonl`);
    writeFileSync(file, Buffer.concat(lines.flatMap(line => [line, Buffer.from('\n')])));
    const produced = await millrace.run(['topics', 'produce', 'telemetry.ingest', '--input', file]);
    rmSync(file);
    assert.equal(produced.code, 0, produced.stderr);
    assertConserved(await millrace.idle());
    const failed = await recordsOf(millrace, 'telemetry.extractor.failed');
    assert.equal(failed.length, Object.keys(poison).length);
    const kept = failed.map(({ value }) => value as { raw: string; rawBase64?: string });
    for (const [name, bytes] of Object.entries(poison)) {
      const found = kept.filter(({ raw, rawBase64 }) =>
        Buffer.from(rawBase64 ?? raw, rawBase64 === undefined ? 'utf8' : 'base64').equals(bytes),
      );
      assert.equal(found.length, 1, `${name} is kept to the byte`);
    }
    const mids = await midsOf(millrace, 'druid.events.telemetry');
    for (const i of Object.keys(Object.values(poison)))
      assert.equal(mids.filter(mid => mid === `r14-good-${i}`).length, 1);

    for (const [name, bytes] of Object.entries(poison)) {
      const reply = await post(millrace, new Uint8Array(bytes));
      assert.deepEqual([reply.status, reply.code.startsWith('ERR_BODY_')], [400, true], `${name} over HTTP`);
    }
  });

  it('R14 JSON that readers differ on ends once, and its neighbours too', async () => {
    const odd: Readonly<Record<string, string>> = {
      surrogate: batchOf('r14-surrogate', [validEvent('r14-surrogate', { note: '#' })]).replace(
        '#',
        '\\ud800',
      ),
      huge: batchOf('r14-huge', [validEvent('r14-huge', { note: 7 })]).replace('"note":7', '"note":1e400'),
      twice: batchOf('r14-twice', [validEvent('r14-twice')]).replace('"mid":', '"mid":"other","mid":'),
      mark: `\ufeff${batchOf('r14-mark', [validEvent('r14-mark')])}`,
      proto: batchOf('r14-proto', [validEvent('r14-proto', { note: 7 })]).replace(
        '"note":7',
        '"__proto__":{"x":1}',
      ),
    };
    for (const [name, body] of Object.entries(odd))
      assert.equal((await post(millrace, body)).status, 200, name);
    assertConserved(await millrace.idle());
    for (const name of Object.keys(odd))
      assert.deepEqual(await endsOf(millrace, `r14-${name}`), ['events'], name);
    assert.deepEqual(await endsOf(millrace, 'other'), []);
  });

  it('R15 one bad event in a batch of 100 fails alone, and can be found', async () => {
    const events = Array.from({ length: 100 }, (_, i) => (i === 41 ? invalidEvent : validEvent)(`r15-${i}`));
    assert.equal((await post(millrace, batchOf('r15', events))).status, 200);
    const isFound = async () => {
      const answer = await millrace.fetch('/v1/trace/r15-41');
      if (answer.status !== 200) return false;
      const [sighting] = ((await answer.json()) as TraceDocument).sightings;
      return sighting?.stages.at(-1)?.outcome === 'reject';
    };
    await until('the trace says so', isFound);
    const { failed } = (await (await millrace.fetch('/v1/failed?limit=5')).json()) as FailedDocument;
    const row = failed.find(({ mid }) => mid === 'r15-41');
    assert.deepEqual([row?.code, row?.pointer], ['ERR_SCHEMA_VIOLATION', '/edata/pageid']);
    assertConserved(await millrace.idle());
    const good = (await midsOf(millrace, 'druid.events.telemetry')).filter(mid => mid.startsWith('r15-'));
    assert.equal(good.length, 99);
  });

  it('R19 odd event times follow the policy, and stay as they were sent', async () => {
    const times: Readonly<Record<string, readonly [unknown, string]>> = {
      epoch: [0, 'dropped'],
      '1970': [86_400_000, 'dropped'],
      '2099': [Date.UTC(2099, 0, 1), 'events'],
      microseconds: [Date.now() * 1000, 'events'],
      text: [String(Date.now()), 'failed'],
      date: [new Date().toISOString(), 'failed'],
      negative: [-1, 'dropped'],
    };
    const events = Object.entries(times).map(([name, [ets]]) =>
      validEvent(`r19-${name}`, { ets } as JsonObject),
    );
    assert.equal((await post(millrace, batchOf('r19', events))).status, 200);
    assertConserved(await millrace.idle());
    for (const [name, [, end]] of Object.entries(times))
      assert.deepEqual(await endsOf(millrace, `r19-${name}`), [end], name);
    const batches = (await recordsOf(millrace, 'telemetry.ingest')).map(
      ({ value }) => value as { events?: unknown } | null,
    );
    assert.ok(
      batches.some(batch => isDeepStrictEqual(batch?.events, events)),
      'the batch is kept as it was sent',
    );
    const good = (await recordsOf(millrace, 'druid.events.telemetry')).map(
      ({ value }) => value as JsonObject,
    );
    const future = good.filter(({ mid }) => mid === 'r19-2099' || mid === 'r19-microseconds');
    // A time to come becomes the last moment of the day it was received.
    const day = 86_400_000;
    for (const { ets, syncts } of future) assert.equal(ets, (Math.floor(Number(syncts) / day) + 1) * day - 1);
    assert.equal(future.length, 2);
  });
});
