import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { MillraceError } from '../../src/core/errors.ts';
import { INGEST_PATHS } from '../../src/services/ingest/ingest.ts';
import { NOW_MS, post, postBytes, startServer, type TestServer } from './start-server.ts';

const BATCH = {
  id: 'api.sunbird.telemetry',
  ver: '3.0',
  params: { msgid: 'x' },
  mid: 'm',
  events: [{ eid: 'START' }],
};
const SUCCESS = { id: 'api.telemetry', ver: '1.0', ets: NOW_MS, params: {}, responseCode: 'SUCCESS' };

/** The code that a refused request is answered with. */
async function codeOf(response: Response): Promise<string> {
  const { params } = (await response.json()) as { params: { err: string } };
  return params.err;
}

/** The only record stored, as text. */
function onlyValue({ world }: TestServer): string {
  assert.equal(world.records.length, 1);
  return Buffer.from(world.records[0]!.value).toString();
}

test("a batch is answered with the original's envelope and stored with what the headers say", async () => {
  await using it = await startServer();
  const headers = { 'x-device-id': 'dev-1', 'x-channel-id': '0123', 'x-app-id': 'prod.portal' };
  const response = await post(it, BATCH, headers);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.deepEqual(await response.json(), SUCCESS);
  const text = JSON.stringify(BATCH).slice(0, -1);
  const added = `,"did":"dev-1","channel":"0123","pid":"prod.portal","syncts":${NOW_MS},"dataset":"sb-telemetry"}`;
  assert.equal(onlyValue(it), text + added);
  const { key, timeMs, headers: recordHeaders } = it.world.records[0]!;
  assert.deepEqual({ key, timeMs, recordHeaders }, { key: 'dev-1', timeMs: NOW_MS, recordHeaders: {} });
});

test('a batch without mid gets a uuid, another one each time', async () => {
  await using it = await startServer();
  await post(it, { events: [] });
  await post(it, { events: [] });
  const mids = it.world.records.map(record => JSON.parse(Buffer.from(record.value).toString()).mid);
  assert.match(mids[0], /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.notEqual(mids[0], mids[1]);
  assert.deepEqual(
    it.world.records.map(record => record.key),
    mids,
  );
});

test('every alias takes a batch, with a trailing slash and a query too', async () => {
  await using it = await startServer();
  for (const path of INGEST_PATHS.flatMap(alias => [alias, `${alias}/`, `${alias}?a=b`])) {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"events":[]}' };
    const response = await fetch(it.url + path, init);
    assert.equal(response.status, 200, path);
  }
  assert.equal(it.world.records.length, 27);
});

test('gzip, zlib and raw deflate and brotli are inflated, small and large', async () => {
  await using it = await startServer();
  const small = Buffer.from('{"events":[1],"mid":"m"}');
  const noise = Array.from({ length: 30_000 }, (_, index) => (index * 2_654_435_761) % 4_294_967_296);
  const large = Buffer.from(JSON.stringify({ events: noise, mid: 'm' }));
  const codecs: readonly (readonly [string, (body: Buffer) => Buffer])[] = [
    ['gzip', body => gzipSync(body)],
    ['x-gzip', body => gzipSync(body)],
    ['deflate', body => deflateSync(body)],
    ['deflate', body => deflateRawSync(body)],
    ['br', body => brotliCompressSync(body)],
    ['identity', body => body],
  ];
  for (const body of [small, large]) {
    for (const [encoding, encode] of codecs) {
      it.world.records.length = 0;
      const response = await postBytes(it, Buffer.from(encode(body)), { 'content-encoding': encoding });
      assert.equal(response.status, 200, encoding);
      assert.ok(onlyValue(it).startsWith(body.subarray(0, -1).toString()), encoding);
    }
  }
  assert.ok(gzipSync(large).length > 64 * 1024, 'the large body takes the way through the thread pool');
  assert.equal(it.meter.inFlightBytes, 0);
});

test('a gzip body is read whatever length its end declares, and refused where that is not its length', async () => {
  await using it = await startServer();
  const text = Buffer.from(JSON.stringify({ events: [' '.repeat(100_000), 'é'.repeat(200_000)], mid: 'm' }));
  const whole = gzipSync(text);
  const members = Buffer.concat([gzipSync(text.subarray(0, -9)), gzipSync(text.subarray(-9))]);
  for (const body of [whole, members]) {
    it.world.records.length = 0;
    assert.equal((await postBytes(it, body, { 'content-encoding': 'gzip' })).status, 200);
    assert.ok(onlyValue(it).startsWith(text.subarray(0, -1).toString()));
  }
  for (const declared of [0, 1, text.length - 1, text.length + 1, 0xffff_ffff]) {
    const lying = Buffer.from(whole);
    lying.writeUInt32LE(declared, lying.length - 4);
    const response = await postBytes(it, lying, { 'content-encoding': 'gzip' });
    assert.equal(response.status, 400, `${declared}`);
    assert.equal(await codeOf(response), 'ERR_BODY_ENCODING', `${declared}`);
  }
  assert.equal(it.meter.inFlightBytes, 0);
});

test('content types of JSON in UTF-8 are taken, all others are not', async () => {
  await using it = await startServer();
  const status = async (type: string) => (await post(it, { events: [] }, { 'content-type': type })).status;
  for (const type of [
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/vnd.api+json',
    'application/json; foo=bar',
  ]) {
    assert.equal(await status(type), 200, type);
  }
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/jsonx',
    'text/json',
    'application/json, text/plain',
  ]) {
    assert.equal(await status(type), 415, type);
  }
});

test('what JSON.stringify would lose is stored as it was sent', async () => {
  await using it = await startServer();
  const text =
    '{"events":[1e400,0.10,{"__proto__":{"polluted":1},"constructor":{"prototype":{}},"s":"\\ud800"}],"mid":"m"}';
  assert.equal((await post(it, text)).status, 200);
  assert.ok(onlyValue(it).startsWith(text.slice(0, -1)));
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('prototypes of the process are the same after hostile members', async () => {
  const before = JSON.stringify(
    [Object.prototype, Array.prototype, Function.prototype].map(it => Reflect.ownKeys(it).map(String)),
  );
  await using it = await startServer();
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString']) {
    assert.equal(
      (await post(it, `{"events":[],"${name}":{"polluted":true,"prototype":{"polluted":true}},"mid":"m"}`))
        .status,
      200,
    );
    assert.match(onlyValue(it), new RegExp(`"${name}":\\{"polluted"`));
    it.world.records.length = 0;
  }
  const after = JSON.stringify(
    [Object.prototype, Array.prototype, Function.prototype].map(it => Reflect.ownKeys(it).map(String)),
  );
  assert.equal(after, before);
});

test('the preflight of a browser is answered without a token, and every answer may be read by a page', async () => {
  await using it = await startServer({
    config: { 'ingest.allowedOrigins': 'https://portal.example' },
    tokens: ['t'],
  });
  const preflight = await fetch(`${it.url}/v1/telemetry`, {
    method: 'OPTIONS',
    headers: { origin: 'https://portal.example' },
  });
  assert.equal(preflight.status, 200);
  assert.equal(await preflight.text(), '');
  assert.equal(preflight.headers.get('access-control-max-age'), '86400');
  const allowed = preflight.headers.get('access-control-allow-headers')?.split(', ') ?? [];
  for (const name of [
    'authorization',
    'content-type',
    'content-encoding',
    'x-app-id',
    'x-channel-id',
    'x-device-id',
    'datatype',
    'x-authenticated-user-token',
    'x-authenticated-for',
  ]) {
    assert.ok(allowed.includes(name), name);
  }
  const refused = await post(it, {}, { origin: 'https://other.example' });
  assert.equal(refused.headers.get('access-control-allow-origin'), 'https://portal.example');
  assert.equal(refused.status, 401);
});

test('with ingest.tokens one of them must be presented', async () => {
  await using it = await startServer({ tokens: ['first', 'second'] });
  for (const authorization of ['Bearer first', 'bearer second', 'Bearer  first']) {
    assert.equal((await post(it, BATCH, { authorization })).status, 200, authorization);
  }
  for (const authorization of [
    '',
    'Bearer',
    'Bearer third',
    'Bearer firs',
    'Bearer first second',
    'Basic first',
    'first',
  ]) {
    const response = await post(it, BATCH, { authorization });
    assert.equal(response.status, 401, authorization);
    assert.equal(await codeOf(response), 'ERR_UNAUTHORIZED');
  }
  assert.equal(it.world.records.length, 3);
});

test('what cannot be taken in now is answered 503 with Retry-After, before and after the body', async () => {
  await using it = await startServer();
  it.world.admission = new MillraceError('ERR_LOG_BEHIND', '5 GB wait');
  const refused = await post(it, BATCH);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.deepEqual(await refused.json(), {
    ...SUCCESS,
    params: {
      err: 'ERR_LOG_BEHIND',
      errmsg: 'the log holds more unprocessed bytes than log.behindBytesMax: 5 GB wait',
    },
    responseCode: 'SERVER_ERROR',
  });
  it.world.admission = null;
  it.world.append = () => Promise.reject(new MillraceError('ERR_DISK_FULL', 'no room'));
  const failed = await post(it, BATCH);
  assert.equal(failed.status, 503);
  assert.equal(await codeOf(failed), 'ERR_DISK_FULL');
  assert.deepEqual(
    [...it.meter.refused],
    [
      ['ERR_LOG_BEHIND', 1],
      ['ERR_DISK_FULL', 1],
    ],
  );
  assert.equal(it.meter.accepted, 0);
});

test('a bug is answered 500 without its words, and reported', async () => {
  await using it = await startServer();
  it.world.append = () => Promise.reject(new TypeError('secret path'));
  const response = await post(it, BATCH);
  assert.equal(response.status, 500);
  const text = await response.text();
  assert.match(text, /"err":"ERR_INTERNAL".*"SERVER_ERROR"/);
  assert.doesNotMatch(text, /secret/);
  assert.equal(it.world.bugs.length, 1);
});

test('200 comes only after the record is durable', async () => {
  await using it = await startServer();
  const durable = Promise.withResolvers<void>();
  it.world.append = () => durable.promise;
  let isAnswered = false;
  const answer = post(it, BATCH).then(response => {
    isAnswered = true;
    return response.status;
  });
  while (it.meter.inFlightBytes === 0) await new Promise(resolve => setTimeout(resolve, 5));
  await new Promise(resolve => setTimeout(resolve, 50));
  assert.equal(isAnswered, false);
  durable.resolve();
  assert.equal(await answer, 200);
});

test('the memory of a body is held until its record is durable, and freed then', async () => {
  const held: Buffer[] = [];
  const durable = Promise.withResolvers<void>();
  await using it = await startServer();
  it.world.append = async ({ value }) => {
    held.push(Buffer.from(value.head.buffer, value.head.byteOffset, value.head.length));
    await durable.promise;
  };
  const body = Buffer.from(JSON.stringify({ mid: 'm', events: [{ text: 'x'.repeat(200_000) }] }));
  const sending = [postBytes(it, body), postBytes(it, gzipSync(body), { 'content-encoding': 'gzip' })];
  while (held.length < 2) await sleep(5);
  await sleep(50);
  for (const bytes of held) assert.ok(bytes.toString().includes('x'.repeat(200_000)));
  durable.resolve();
  assert.deepEqual(
    (await Promise.all(sending)).map(({ status }) => status),
    [200, 200],
  );
  for (let looks = 0; looks < 400 && held.some(({ length }) => length > 0); looks++) await sleep(5);
  assert.deepEqual(
    held.map(({ length }) => length),
    [0, 0],
  );
});

test('bodies of several pieces, many at once and one after the other, are stored as they were sent', async () => {
  await using it = await startServer();
  const bodyOf = (n: number) => ({ mid: `m-${n}`, events: [{ text: String(n % 10).repeat(100_000 + n) }] });
  for (let round = 0; round < 3; round++) {
    const bodies = Array.from({ length: 50 }, (_, index) => bodyOf(50 * round + index));
    const answers = await Promise.all(bodies.map(body => post(it, body)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  }
  const stored = it.world.records.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
  stored.sort((a, b) => Number(a.mid.slice(2)) - Number(b.mid.slice(2)));
  assert.equal(stored.length, 150);
  for (const [n, { mid, events }] of stored.entries()) assert.deepEqual({ mid, events }, bodyOf(n));
});

test('bodies in memory are bounded over all requests; a body larger than the bound passes alone', async () => {
  await using it = await startServer({ config: { 'ingest.inFlightBytesMax': 1_048_576 } });
  const durable = Promise.withResolvers<void>();
  it.world.append = () => durable.promise;
  const large = { events: ['x'.repeat(2_000_000)] };
  const first = post(it, large);
  while (it.meter.inFlightBytes < 2_000_000) await new Promise(resolve => setTimeout(resolve, 5));
  const second = await post(it, BATCH);
  assert.equal(second.status, 503);
  assert.equal(await codeOf(second), 'ERR_OVERLOADED');
  const bomb = await postBytes(it, gzipSync(JSON.stringify(large)), { 'content-encoding': 'gzip' });
  assert.equal(await codeOf(bomb), 'ERR_OVERLOADED');
  durable.resolve();
  assert.equal((await first).status, 200);
  assert.equal(it.meter.inFlightBytes, 0);
  assert.equal((await post(it, BATCH)).status, 200);
});

test('the meter counts what came, what was stored and how long it took', async () => {
  await using it = await startServer();
  await post(it, BATCH);
  await post(it, '[]');
  await fetch(`${it.url}/v1/telemetry`);
  const { requests, accepted, events, receivedBytes, storedBytes, inFlight, refused, latencyCounts } =
    it.meter;
  const sizeBytes = JSON.stringify(BATCH).length;
  const counts = { requests, accepted, events, receivedBytes, inFlight };
  assert.deepEqual(counts, {
    requests: 3,
    accepted: 1,
    events: 1,
    receivedBytes: sizeBytes + 2,
    inFlight: 0,
  });
  assert.equal(storedBytes, it.world.records[0]!.value.length);
  assert.deepEqual(
    [...refused],
    [
      ['ERR_BODY_NO_EVENTS', 1],
      ['ERR_METHOD_NOT_ALLOWED', 1],
    ],
  );
  assert.equal(
    latencyCounts.reduce((sum, count) => sum + count),
    3,
  );
});
