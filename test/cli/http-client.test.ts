import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { askDocument, findServer, type Server } from '../../src/cli/http-client.ts';
import { type OutgoingBatch, sendBatches } from '../../src/cli/send-batches.ts';
import { readSettings } from '../../src/config/environment.ts';
import { collect } from '../collect.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-client-'));
const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
  rmSync(directory, { recursive: true });
});

/** A server of this test on a free port. */
async function listen(listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'secret' };
}

describe('findServer', () => {
  const settings = (flags: object, env: NodeJS.ProcessEnv = {}) =>
    readSettings({ data: directory, ...flags }, env);

  it('reads address and token from the data directory', () => {
    assert.throws(() => findServer(settings({})), { code: 'ERR_NOT_SERVING', remedy: /millrace up/ });
    mkdirSync(join(directory, 'local'));
    writeFileSync(
      join(directory, 'local', 'serving.json'),
      '{"url":"http://127.0.0.1:1/","pid":1,"startedAtMs":1}',
    );
    writeFileSync(join(directory, 'local', 'token'), 'from-file\n');
    assert.deepEqual(findServer(settings({})), { url: 'http://127.0.0.1:1', token: 'from-file' });
  });

  it('prefers --url, then MILLRACE_URL; the token of the data directory before MILLRACE_TOKEN', () => {
    const env = { MILLRACE_URL: 'http://127.0.0.1:2', MILLRACE_TOKEN: 'from-env' };
    assert.equal(findServer(settings({}, env)).url, 'http://127.0.0.1:2');
    assert.deepEqual(findServer(settings({ url: 'http://127.0.0.1:3' }, env)), {
      url: 'http://127.0.0.1:3',
      token: 'from-file',
    });
    assert.equal(findServer(settings({ env: 'other' }, env)).token, 'from-env');
    assert.throws(() => findServer(settings({ url: 'localhost:3' })), { code: 'ERR_USAGE' });
  });
});

describe('askDocument', () => {
  it('sends the token, and throws what the server says', async () => {
    const seen: IncomingMessage[] = [];
    const server = await listen((request, response) => {
      seen.push(request);
      response.statusCode = 404;
      response.end('{"error":{"code":"ERR_NOT_FOUND","message":"m","why":"no mid x","remedy":"look"}}');
    });
    await assert.rejects(askDocument(server, { path: '/v1/trace/x', query: { a: 1, b: undefined } }), {
      code: 'ERR_NOT_FOUND',
      why: 'no mid x',
      remedy: 'look',
    });
    assert.equal(seen[0]?.url, '/v1/trace/x?a=1');
    assert.equal(seen[0]?.headers.authorization, 'Bearer secret');
  });

  it('says so where something else answers, or nothing', async () => {
    const other = await listen((_, response) => response.end('<html>'));
    await assert.rejects(askDocument(other, { path: '/' }), { code: 'ERR_NOT_SERVING' });
    const gone = await listen(() => undefined);
    closers.pop()?.();
    await assert.rejects(askDocument(gone, { path: '/' }), { code: 'ERR_NOT_SERVING', why: /ECONNREFUSED/ });
    // A redirect would carry the token elsewhere.
    const elsewhere = await listen((_, response) => response.writeHead(302, { location: other.url }).end());
    await assert.rejects(askDocument(elsewhere, { path: '/' }), { code: 'ERR_NOT_SERVING' });
  });
});

describe('sendBatches', () => {
  async function* batches(count: number): AsyncGenerator<OutgoingBatch> {
    for (let line = 1; line <= count; line++) {
      yield { file: 'f', line, bytes: Buffer.from(`{"events":[${line}]}`), events: 1 };
    }
  }
  const options = { concurrency: 1, onAnswer: () => undefined };
  const textOf = async (request: IncomingMessage) => Buffer.concat(await collect(request)).toString();

  it('keeps the order, counts, and lists what was refused with its parameters', async () => {
    const bodies: string[] = [];
    const server = await listen(async (request, response) => {
      bodies.push(await textOf(request));
      response.statusCode = bodies.length === 2 ? 400 : 200;
      response.end(bodies.length === 2 ? '{"params":{"err":"ERR_BODY_NO_EVENTS"}}' : '{"params":{}}');
    });
    const document = await sendBatches(server, batches(3), options);
    assert.deepEqual(bodies, ['{"events":[1]}', '{"events":[2]}', '{"events":[3]}']);
    assert.deepEqual(document, {
      batches: 3,
      events: 3,
      accepted: 2,
      refused: 1,
      results: [
        { file: 'f', line: 1, status: 200, params: {} },
        { file: 'f', line: 2, status: 400, params: { err: 'ERR_BODY_NO_EVENTS' } },
        { file: 'f', line: 3, status: 200, params: {} },
      ],
    });
  });

  it('asks a busy server again after the time it names', async () => {
    const times: number[] = [];
    const server = await listen(async (request, response) => {
      await textOf(request);
      times.push(performance.now());
      if (times.length === 1) response.writeHead(503, { 'retry-after': '1' });
      response.end('{"params":{}}');
    });
    const document = await sendBatches(server, batches(1), options);
    assert.deepEqual([document.accepted, times.length], [1, 2]);
    assert.ok(times[1]! - times[0]! >= 990, `${times[1]! - times[0]!} ms`);
  });

  it('gives up on a server that stays busy, and stops where none is', async () => {
    let asked = 0;
    const server = await listen(async (request, response) => {
      await textOf(request);
      asked++;
      response.writeHead(503, { 'retry-after': '0' }).end('{"params":{"err":"ERR_LOG_BEHIND"}}');
    });
    const document = await sendBatches(server, batches(1), options);
    assert.deepEqual([document.refused, asked], [1, 8]);
    closers.pop()?.();
    await assert.rejects(sendBatches(server, batches(9), options), {
      code: 'ERR_NOT_SERVING',
    });
  });

  it('sends every batch once with several requests at once, and reports by order of sending', async () => {
    const server = await listen(async (request, response) => {
      const text = await textOf(request);
      setTimeout(() => response.end('{"params":{}}'), text.length % 7);
    });
    const document = await sendBatches(server, batches(40), { ...options, concurrency: 4 });
    assert.deepEqual(
      document.results.map(result => result.line),
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
  });
});
