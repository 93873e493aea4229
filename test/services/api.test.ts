import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../src/core/errors.ts';
import { ask, startServer } from './start-server.ts';

test('unknown paths are 404, other methods 405 with Allow, broken escapes 400, all JSON', async () => {
  await using it = await startServer();
  const codeAt = async (path: string, init: RequestInit = {}) => {
    const response = await ask(it, path, init);
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8', path);
    const { error } = (await response.json()) as { error: { code: string } };
    return [response.status, error.code, response.headers.get('allow')];
  };
  for (const path of [
    '/v1',
    '//v1/topics',
    '/V1/topics',
    '/v1/%74opics/x/y',
    '/v1/telemetry2',
    '/v1/topics/..%2fjobs/x',
  ]) {
    assert.deepEqual(await codeAt(path), [404, 'ERR_NOT_FOUND', null], path);
  }
  assert.deepEqual(await codeAt('/v1/topics/a%2f..%2fb'), [404, 'ERR_TOPIC_UNKNOWN', null]);
  assert.deepEqual(await codeAt('/v1/topics', { method: 'DELETE' }), [
    405,
    'ERR_METHOD_NOT_ALLOWED',
    'HEAD, GET',
  ]);
  assert.deepEqual(await codeAt('/v1/query'), [405, 'ERR_METHOD_NOT_ALLOWED', 'POST']);
  assert.deepEqual(await codeAt('/v1/topics', { method: 'OPTIONS' }), [
    405,
    'ERR_METHOD_NOT_ALLOWED',
    'HEAD, GET',
  ]);
  assert.deepEqual(await codeAt('/v1/trace/%zz'), [400, 'ERR_REQUEST_INVALID', null]);
  assert.deepEqual(await codeAt(`/v1/trace/${'x'.repeat(17_000)}`), [431, 'ERR_REQUEST_INVALID', null]);
});

test('a mid of any length that an address holds can be asked for, and one with NUL', async () => {
  await using it = await startServer();
  const asked: string[] = [];
  it.backend.trace = async mid => {
    asked.push(mid);
    return { mid, sightings: [] };
  };
  const mids = ['x'.repeat(4097), 'x'.repeat(15_000), 'a\0b'];
  for (const mid of mids) assert.equal((await ask(it, `/v1/trace/${encodeURIComponent(mid)}`)).status, 404);
  assert.deepEqual(asked, mids);
});

test('/openapi.json holds every route and every ingest path, and every reference in it leads somewhere', async () => {
  await using it = await startServer();
  const text = await (await fetch(`${it.url}/openapi.json`)).text();
  const { paths, components } = JSON.parse(text);
  const described = Object.entries<object>(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path}`),
  );
  const { routes } = (await (await ask(it, '/')).json()) as { routes: string[] };
  const registered = routes.map(route => route.replace(/:(\w+)/g, '{$1}'));
  assert.deepEqual(described.filter(route => !route.endsWith('/telemetry')).sort(), registered.sort());
  assert.equal(described.filter(route => /^POST .*\/telemetry$/.test(route)).length, 9);
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    assert.ok(Object.hasOwn(components.schemas, name!), name);
  }
  const ids = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, described.length);
});

test('records are read by page up to the limit, from an offset, or all that are there', async () => {
  await using it = await startServer();
  const offsets = async (query: string) => {
    const response = await ask(it, `/v1/topics/local.telemetry.failed/records${query}`);
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
    const lines = (await response.text()).split('\n');
    assert.equal(lines.pop(), '');
    return lines.map(line => JSON.parse(line).offset);
  };
  const all = Array.from({ length: 70 }, (_, offset) => offset);
  assert.deepEqual(await offsets(''), all);
  assert.deepEqual(await offsets('?limit=33'), all.slice(0, 33));
  assert.deepEqual(await offsets('?fromOffset=65&limit=100'), all.slice(65));
  assert.deepEqual(await offsets('?partition=0&fromOffset=69'), [69]);
  assert.deepEqual(await offsets('?partition=1'), []);
  assert.deepEqual(await offsets('?fromOffset=70'), []);
  it.world.tail.push({ ...it.world.tail[0]!, offset: 70 });
  assert.deepEqual(
    await offsets(''),
    all,
    'what came after the topic was described is left for the next call',
  );
});

test('lines are put into input topics as they are', async () => {
  await using it = await startServer();
  const put = async (topic: string, body: string) => {
    const response = await ask(it, `/v1/topics/${topic}/records`, { method: 'POST', body });
    return [response.status, await response.json()];
  };
  assert.deepEqual(await put('telemetry.ingest', '{"a":1}\r\n\n \nbroken\n{"b": 2}'), [200, { produced: 3 }]);
  assert.deepEqual(it.world.produced, [
    { topic: 'local.telemetry.ingest', lines: ['{"a":1}\r', 'broken', '{"b": 2}'] },
  ]);
  assert.deepEqual(await put('local.telemetry.derived', ''), [200, { produced: 0 }]);
  assert.equal((await put('telemetry.failed', '{}'))[0], 400);
  assert.equal((await put('no.such', '{}'))[0], 404);
  assert.equal(it.world.produced.length, 1);
});

test('master data is loaded whole or not at all, and a bad line is named', async () => {
  await using it = await startServer();
  const load = async (body: string | Buffer<ArrayBuffer>, dataset = 'user') => {
    const response = await ask(it, `/v1/cache/${dataset}`, { method: 'POST', body });
    const document = (await response.json()) as { loaded?: number; error?: { code: string; why: string } };
    return document.loaded ?? `${response.status} ${document.error?.code} ${document.error?.why}`;
  };
  const good = '{"key":"u-1","value":{"name":"é","__proto__":{"polluted":1}}}';
  const bad: readonly (readonly [string, string])[] = [
    ['nonsense', 'the text is not JSON'],
    ['[]', 'it is not a JSON object'],
    ['{"value":{}}', 'key is not a text'],
    ['{"key":"","value":{}}', 'key is not a text'],
    ['{"key":7,"value":{}}', 'key is not a text'],
    ['{"key":"k"}', 'value is not an object'],
    ['{"key":"k","value":"text"}', 'value is not an object'],
    ['{"__proto__":{"key":"k","value":{}}}', 'key is not a text'],
  ];
  for (const [line, why] of bad) {
    assert.equal(await load(`${good}\n\n${line}\n`), `400 ERR_REQUEST_INVALID line 3: ${why}`);
  }
  assert.equal(
    await load(Buffer.from([0xff, 0x0a])),
    '400 ERR_REQUEST_INVALID line 1: the bytes are not UTF-8',
  );
  assert.match(String(await load(good, 'nothing')), /^404 ERR_NOT_FOUND/);
  assert.equal(it.world.cache.size, 0);
  assert.equal(await load(`${good}\n`), 1);
  const row = await (await ask(it, '/v1/cache/user/u-1')).text();
  assert.equal(row, '{"name":"é","__proto__":{"polluted":1}}');
  assert.equal((await ask(it, '/v1/cache/user/u-2')).status, 404);
  assert.equal((await ask(it, '/v1/cache/user/U-1')).status, 404);
});

test('a dialcode is found in either case, as jobs look it up', async () => {
  await using it = await startServer();
  const body = '{"key":"k7m2Q9","value":{"identifier":"K7M2Q9"}}';
  assert.equal((await ask(it, '/v1/cache/dialcode', { method: 'POST', body })).status, 200);
  for (const key of ['K7M2Q9', 'k7m2q9']) {
    const row = await (await ask(it, `/v1/cache/dialcode/${key}`)).json();
    assert.deepEqual(row, { identifier: 'K7M2Q9' });
  }
  assert.deepEqual([...it.world.cache.keys()], ['dialcode/K7M2Q9']);
});

test('a query takes JSON with a text sql and nothing else', async () => {
  await using it = await startServer();
  const send = async (body: string, type = 'application/json') =>
    (await ask(it, '/v1/query', { method: 'POST', body, headers: { 'content-type': type } })).status;
  assert.equal(await send('{"sql":"SELECT 1"}'), 200);
  for (const body of ['', '{', '[]', '{}', '{"sql":""}', '{"sql":1}', '{"__proto__":{"sql":"SELECT 1"}}']) {
    assert.equal(await send(body), 400, body);
  }
  assert.equal(await send('{"sql":"SELECT 1"}', 'text/plain'), 415);
});

test('parameters are checked: unknown, repeated, of another type or out of bounds is 400', async () => {
  await using it = await startServer();
  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=1.5',
    'limit=1&limit=2',
    'lmit=1',
    'fromMs=-1',
    '__proto__=1',
  ]) {
    const response = await ask(it, `/v1/failed?${query}`);
    assert.equal(response.status, 400, query);
    assert.match(await response.text(), /ERR_REQUEST_INVALID/);
  }
  const { next } = (await (await ask(it, '/v1/failed?limit=1&after=x%3A1')).json()) as { next: string };
  assert.equal(next, 'x:1');
});

test('health is 200 only where everything works', async () => {
  await using it = await startServer();
  const health = async () => {
    const response = await fetch(`${it.url}/health`);
    const { id, responseCode, components, params } = JSON.parse(await response.text());
    return {
      status: response.status,
      id,
      responseCode,
      states: components.map((one: { state: string }) => one.state),
      err: params.err,
    };
  };
  const well = { id: 'api.health', responseCode: 'SUCCESS', err: undefined };
  const ill = { status: 503, id: 'api.health', responseCode: 'SERVER_ERROR', err: 'ERR_NOT_READY' };
  const log = it.world.status.components[0]!;
  assert.deepEqual(await health(), { ...well, status: 200, states: ['ok'] });
  it.world.status = { ...it.world.status, components: [{ ...log, state: 'degraded' }] };
  assert.deepEqual(await health(), { ...well, status: 200, states: ['degraded'] });
  it.world.status = { ...it.world.status, components: [{ ...log, state: 'failed' }] };
  assert.deepEqual(await health(), { ...ill, states: ['failed'] });
  it.world.status = { ...it.world.status, state: 'starting', components: [log] };
  assert.deepEqual(await health(), { ...ill, states: ['ok'] });
  it.backend.status = () => Promise.reject(new MillraceError('ERR_STORE_UNAVAILABLE', 'tables'));
  assert.deepEqual(await health(), { ...ill, states: ['failed'] });
});

test('errors of the backend keep their code; what nobody foresaw is 500 without its words', async () => {
  await using it = await startServer();
  it.backend.query = () => Promise.reject(new MillraceError('ERR_QUERY_TIMEOUT', '30 s'));
  const init = { method: 'POST', body: '{"sql":"x"}', headers: { 'content-type': 'application/json' } };
  const late = await ask(it, '/v1/query', init);
  assert.equal(late.status, 408);
  it.backend.archiveStatus = () => Promise.reject(new MillraceError('ERR_STORE_UNAVAILABLE', 'objects'));
  const unavailable = await ask(it, '/v1/archive/status');
  assert.deepEqual([unavailable.status, unavailable.headers.get('retry-after')], [503, '5']);
  it.backend.query = () => Promise.reject(new Error('secret path'));
  const broken = await ask(it, '/v1/query', init);
  assert.equal(broken.status, 500);
  assert.doesNotMatch(await broken.text(), /secret/);
  assert.equal(it.world.bugs.length, 1);
});

test('metrics copy the meter and the accounts of the pipeline, the same however often they are read', async () => {
  await using it = await startServer();
  const body = '{"events":[1,2]}';
  await fetch(`${it.url}/v1/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  await fetch(`${it.url}/v1/telemetry`);
  await (await fetch(`${it.url}/metrics`)).text();
  const response = await fetch(`${it.url}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split('\n');
  for (const line of [
    'millrace_ingest_requests_total 2',
    'millrace_ingest_accepted_total 1',
    'millrace_ingest_events_total 2',
    'millrace_ingest_refused_total{code="ERR_METHOD_NOT_ALLOWED"} 1',
    'millrace_ingest_latency_seconds_bucket{le="+Inf"} 2',
    'millrace_ingest_latency_seconds_count 2',
    'millrace_job_events_total{job="validate",outcome="rejected"} 3',
    'millrace_group_lag_records{topic="local.telemetry.failed",group="archive"} 2',
    'millrace_log_bytes{topic="local.telemetry.failed"} 18211',
    'millrace_component_ready{component="log",adapter="memory"} 1',
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test('an archive object is answered line by line, and only by a name that is given', async () => {
  await using it = await startServer();
  const { objects } = (await (await ask(it, '/v1/archive/objects')).json()) as {
    objects: { object: string }[];
  };
  const response = await ask(it, `/v1/archive/object?name=${encodeURIComponent(objects[0]!.object)}`);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  assert.equal(await response.text(), '{"a":1}\n{"a":2}\n');
  assert.equal((await ask(it, '/v1/archive/object')).status, 400);
  assert.equal((await ask(it, '/v1/archive/object?name=..%2fx')).status, 404);
});
