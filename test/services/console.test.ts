import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PulseDocument } from '../../src/core/documents.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { readConsole } from '../../src/services/query/console-files.ts';
import { ask, EVENT_ROW, post, startServer, TOKEN } from './start-server.ts';

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

function aConsole(t: { after(call: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-console-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>the console</title>');
  writeFileSync(join(folder, 'assets/index-1.js'), 'console.log(1);'.repeat(100));
  return readConsole(folder);
}

test('a browser with the cookie gets the page and its policy, others the list of routes', async t => {
  await using it = await startServer({ console: aConsole(t) });
  const page = await ask(it, '/', { headers: HTML });
  assert.equal(page.status, 200);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(await page.text(), /the console/);
  const policy = page.headers.get('content-security-policy') ?? '';
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]) {
    assert.ok(policy.split('; ').includes(part), part);
  }
  assert.ok(!policy.includes('unsafe'));
  assert.match(page.headers.get('vary') ?? '', /accept/);
  for (const accept of ['*/*', 'application/json']) {
    const index = await ask(it, '/', { headers: { accept } });
    assert.equal(((await index.json()) as { name: string }).name, 'millrace');
  }
});

test('a browser without the cookie is told where the address is, and nothing else', async t => {
  await using it = await startServer({ console: aConsole(t) });
  const page = await fetch(`${it.url}/`, { headers: HTML });
  assert.equal(page.status, 401);
  const text = await page.text();
  assert.match(text, /bin\/millrace status/);
  assert.doesNotMatch(text, /<script|<style|style=/);
  assert.ok(!text.includes(TOKEN));
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
  const elsewhere = await fetch(`${it.url}/v1/topics`, { headers: HTML });
  assert.equal(elsewhere.headers.get('content-type'), 'application/json; charset=utf-8');
});

test('without a built console a browser gets the list of routes', async () => {
  await using it = await startServer();
  const index = await ask(it, '/', { headers: HTML });
  assert.equal(index.headers.get('content-type'), 'application/json; charset=utf-8');
});

test('files may be kept for ever, are compressed where that is taken, and need the token', async t => {
  await using it = await startServer({ console: aConsole(t) });
  const file = await ask(it, '/assets/index-1.js');
  assert.equal(file.headers.get('content-type'), 'text/javascript; charset=utf-8');
  assert.equal(file.headers.get('cache-control'), 'private, max-age=31536000, immutable');
  assert.equal(file.headers.get('content-encoding'), 'gzip');
  assert.equal((await file.text()).length, 1500);
  const plain = await ask(it, '/assets/index-1.js', { headers: { 'accept-encoding': 'identity' } });
  assert.equal(plain.headers.get('content-encoding'), null);
  assert.equal((await fetch(`${it.url}/assets/index-1.js`)).status, 401);
  for (const path of ['/assets/no.js', '/assets/..%2findex.html', '/assets/%2e%2e/index.html']) {
    assert.equal((await ask(it, path)).status, 404, path);
  }
});

test('the stream sends the whole state at once and once a second, and ends when the server does', async () => {
  await using it = await startServer();
  await post(it, { events: [{ eid: 'START' }] });
  const response = await ask(it, '/v1/stream');
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const startedMs = performance.now();
  const chunks: string[] = [];
  let firstMs: number | undefined;
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (pulsesIn(chunks).length < 2) {
    const { value = '', done } = await reader.read();
    assert.equal(done, false);
    chunks.push(value);
    // The second may come in pieces: until its last there is one.
    if (pulsesIn(chunks).length > 0) firstMs ??= performance.now() - startedMs;
  }
  assert.ok(firstMs! < 900, `the first comes at once, not after ${firstMs} ms`);
  const [pulse] = pulsesIn(chunks);
  assert.deepEqual(pulse!.status, it.world.status);
  assert.equal(pulse!.ingest.events, 1);
  assert.equal(pulse!.topics.length, 1);
  const closed = it.server.close();
  while (!(await reader.read()).done);
  await closed;
  assert.ok(performance.now() - startedMs < 5000, 'closing does not wait for the drain to give up');
});

test('a store that does not answer leaves a comment in the stream, which goes on', async () => {
  await using it = await startServer();
  const status = it.backend.status;
  it.backend.status = async () => {
    throw new MillraceError('ERR_STORE_UNAVAILABLE', 'not now');
  };
  const response = await ask(it, '/v1/stream');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes(': ERR_STORE_UNAVAILABLE')) text += (await reader.read()).value ?? '';
  it.backend.status = status;
  while (pulsesIn([text]).length === 0) text += (await reader.read()).value ?? '';
  assert.deepEqual(it.world.bugs, []);
});

test('listeners are bounded, and one that leaves makes room', async () => {
  await using it = await startServer();
  const leave = new AbortController();
  const open = () => ask(it, '/v1/stream', { signal: leave.signal });
  const all = await Promise.all(Array.from({ length: 32 }, open));
  assert.ok(all.every(({ status }) => status === 200));
  const refused = await ask(it, '/v1/stream');
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  await refused.text();
  leave.abort();
  const deadlineMs = Date.now() + 30_000;
  let status = 503;
  while (status !== 200 && Date.now() < deadlineMs) {
    const again = await ask(it, '/v1/stream');
    status = again.status;
    await again.body?.cancel();
  }
  assert.equal(status, 200);
});

test('HEAD of the stream is refused: it would listen for ever', async () => {
  await using it = await startServer();
  assert.equal((await ask(it, '/v1/stream', { method: 'HEAD' })).status, 405);
});

test('events are asked for with what was given, and outcomes that there are not are refused', async () => {
  await using it = await startServer();
  const asked: unknown[] = [];
  it.backend.events = async filter => {
    asked.push(filter);
    return { events: [EVENT_ROW], next: 'n' };
  };
  const answer = await ask(it, '/v1/events?did=d-1&user=&outcome=reject&fromMs=5&limit=7');
  assert.deepEqual(await answer.json(), { events: [EVENT_ROW], next: 'n' });
  assert.deepEqual(asked, [{ did: 'd-1', outcome: 'reject', fromMs: 5, limit: 7 }]);
  for (const query of ['outcome=all', 'limit=0', 'limit=1001', 'fromMs=x', 'device=d']) {
    assert.equal((await ask(it, `/v1/events?${query}`)).status, 400, query);
  }
  assert.equal((await ask(it, `/v1/events/${encodeURIComponent(EVENT_ROW.id)}`)).status, 200);
  assert.equal((await ask(it, '/v1/events/none')).status, 404);
});

test('samples are bounded; relations are listed with their columns', async () => {
  await using it = await startServer();
  const sampled = await ask(it, '/v1/sample?count=50', { method: 'POST' });
  assert.deepEqual(await sampled.json(), { accepted: 50 });
  assert.equal((await ask(it, '/v1/sample?count=501', { method: 'POST' })).status, 400);
  const { relations } = (await (await ask(it, '/v1/relations')).json()) as {
    relations: { relation: string; columns: string[] }[];
  };
  assert.ok(relations.every(({ columns }) => columns.length > 0));
  assert.ok(relations.some(({ relation }) => relation === 'summaries'));
});

function pulsesIn(chunks: readonly string[]): readonly PulseDocument[] {
  const events = chunks.join('').split('\n\n').slice(0, -1);
  return events.flatMap(event => (event.startsWith('data: ') ? [JSON.parse(event.slice(6))] : []));
}
