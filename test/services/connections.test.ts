import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { freeMemory } from '../../src/core/free-memory.ts';
import { createServer } from '../../src/services/query/server.ts';
import { aConfig, ask, post, postBytes, startServer, type TestServer } from './start-server.ts';

const MIB = 1024 * 1024;
const HEAD = 'POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

/** A connection whose answer is collected until the server ends it. */
interface Peer {
  readonly socket: Socket;
  /** All that came, once the connection ended. */
  readonly ended: Promise<string>;
}

function dial({ server }: TestServer): Peer {
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  const chunks: Buffer[] = [];
  socket.on('data', chunk => chunks.push(chunk));
  // A reset after the answer is the peer's right; what was answered is what counts.
  socket.on('error', () => {});
  const ended = new Promise<string>(resolve => {
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('end', () => socket.end());
  });
  return { socket, ended };
}

function statusesOf(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(match => match[1]!);
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, 'it did not come true in 30 s');
    await sleep(5);
  }
}

test('headers that do not come are answered 408 and the connection is closed', async () => {
  await using it = await startServer({ config: { 'ingest.requestMsMax': 200 } });
  const silent = dial(it);
  const slow = dial(it);
  slow.socket.write('POST /v1/telemetry HTTP/1.1\r\nHost: loc');
  for (const text of await Promise.all([silent.ended, slow.ended])) {
    assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"code":"ERR_REQUEST_INVALID"/);
  }
});

test('a body that trickles is answered 408 in the envelope after ingest.requestMsMax', async () => {
  await using it = await startServer({ config: { 'ingest.requestMsMax': 300 } });
  const { socket, ended } = dial(it);
  socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
  const trickle = setInterval(() => socket.write('1\r\n \r\n'), 20);
  const startedMs = performance.now();
  const answered = new Promise<void>(resolve => socket.once('data', () => resolve()));
  await answered;
  assert.ok(performance.now() - startedMs < 1000);
  assert.match(await ended, /^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*ERR_BODY_TIMEOUT/i);
  clearInterval(trickle);
  assert.equal(it.meter.inFlightBytes, 0);
});

test('an endless body is refused, read to ingest.refusedBytesMax, answered and cut', async () => {
  await using it = await startServer({
    config: { 'ingest.bodyBytesMax': 1024, 'ingest.refusedBytesMax': 4 * MIB },
  });
  const { socket, ended } = dial(it);
  socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
  let isOpen = true;
  ended.then(() => {
    isOpen = false;
  });
  for (let count = 0; isOpen && count < 2000; count++) {
    if (!socket.write(chunk))
      await Promise.race([new Promise(resolve => socket.once('drain', resolve)), ended]);
  }
  assert.match(await ended, /^HTTP\/1\.1 413 [\s\S]*ERR_BODY_TOO_LARGE/);
  assert.ok(it.meter.receivedBytes >= 4 * MIB && it.meter.receivedBytes < 8 * MIB);
});

test('a refused body of 64 MiB is read to its end and answered, and the connection goes on', async () => {
  await using it = await startServer();
  const { socket, ended } = dial(it);
  const pieces = 64;
  socket.write(`${HEAD}Content-Length: ${pieces * MIB}\r\n\r\n`);
  const piece = Buffer.alloc(MIB, ' ');
  for (let count = 0; count < pieces; count++) {
    if (!socket.write(piece)) await new Promise(resolve => socket.once('drain', resolve));
  }
  socket.write(`${HEAD}Content-Length: 13\r\nConnection: close\r\n\r\n{"events":[]}`);
  assert.deepEqual(statusesOf(await ended), ['413', '200']);
  assert.equal(it.world.records.length, 1);
});

test('what two parsers could read in two ways is refused and stores nothing', async () => {
  await using it = await startServer();
  const body = '{"events":[]}';
  const smuggled = `${HEAD}Content-Length: 13\r\n\r\n${body}`;
  const requests = [
    `${HEAD}Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n0\r\n\r\n${smuggled}`,
    `${HEAD}Content-Length: 13\r\nContent-Length: 14\r\n\r\n${body} ${smuggled}`,
    `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
    `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `${HEAD}Content-Length: +13\r\n\r\n${body}`,
    `${HEAD}Content-Length: 13\r\nX-A: b\r\n\tfolded\rContent-Length: 0\r\n\r\n${body}`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\nd;a\nb\r\n${body}\r\n0\r\n\r\n`,
    `${HEAD.replaceAll('\r\n', '\n')}Content-Length: 13\n\n${body}`,
  ];
  for (const request of requests) {
    const { socket, ended } = dial(it);
    socket.write(request);
    const text = await ended;
    assert.match(text, /^HTTP\/1\.1 400 [\s\S]*"code":"ERR_REQUEST_INVALID"/, JSON.stringify(request));
    assert.deepEqual(statusesOf(text), ['400']);
  }
  assert.equal(it.world.records.length, 0);
});

test('headers past 16 KiB are answered 431 in JSON', async () => {
  await using it = await startServer();
  const { socket, ended } = dial(it);
  socket.write(`${HEAD}X-Flood: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(await ended, /^HTTP\/1\.1 431 [\s\S]*"code":"ERR_REQUEST_INVALID"/);
});

test('requests sent ahead on one connection are answered in order', async () => {
  await using it = await startServer();
  const { socket, ended } = dial(it);
  const good = `${HEAD}Content-Length: 13\r\n\r\n{"events":[]}`;
  const bad = `${HEAD}Content-Length: 2\r\n\r\n[]`;
  const last = 'GET /health HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n';
  socket.write(good + bad + good + last);
  assert.deepEqual(statusesOf(await ended), ['200', '400', '200', '403']);
  assert.equal(it.world.records.length, 2);
});

test('a client that goes away in the middle leaves nothing behind', async () => {
  await using it = await startServer();
  const { socket } = dial(it);
  socket.write(`${HEAD}Content-Length: 100\r\n\r\n{"events":[`);
  await until(() => it.meter.inFlightBytes > 0);
  socket.destroy();
  await until(() => it.meter.inFlight === 0);
  const { inFlightBytes, refused, accepted } = it.meter;
  assert.deepEqual([inFlightBytes, refused.size, accepted], [0, 0, 0]);
  assert.deepEqual(it.world.bugs, []);
});

test('compressed bodies that inflate a thousandfold are refused in bounded memory', async () => {
  await using it = await startServer();
  const bombs: [encoding: string, body: Buffer<ArrayBuffer>][] = [
    ['gzip', bombOf(gzipSync, 200)],
    ['gzip', bombOf(gzipSync, 50)],
    // The length that gzip ends with is that of the last of its parts.
    ['gzip', Buffer.concat([bombOf(gzipSync, 50), gzipSync(' ')])],
    ['deflate', bombOf(deflateSync, 50)],
    ['br', bombOf(brotliCompressSync, 50)],
  ];
  const [long, ...short] = bombs.map(([, body]) => body.length > 64 * 1024);
  assert.deepEqual([long, ...short], [true, false, false, false, false], 'long and short as sent');
  const sendAll = async () => {
    const send = ([encoding, body]: (typeof bombs)[number]) =>
      postBytes(it, body, { 'content-encoding': encoding });
    const answers = await Promise.all([...bombs, ...bombs].map(send));
    assert.deepEqual(new Set(answers.map(answer => answer.status)), new Set([413]));
  };
  assert.equal((await postBytes(it, bombs[0]![1], { 'content-encoding': 'gzip' })).status, 413);
  const beforeBytes = process.memoryUsage().arrayBuffers;
  let peakBytes = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
  }, 2);
  for (let round = 0; round < 6; round++) await sendAll();
  clearInterval(watch);
  // At most, uncollected: 21 inflated aside at once, 7 thrown away on the spot, 10 of bodies on their way.
  assert.ok(peakBytes - beforeBytes < 56 * MIB, `grew by ${peakBytes - beforeBytes} bytes`);
});

/** Compressed spaces; what they were compressed from does not wait to be collected while memory is measured. */
function bombOf(compress: (bytes: Buffer) => Buffer<ArrayBuffer>, mib: number): Buffer<ArrayBuffer> {
  const spaces = Buffer.alloc(mib * MIB, ' ');
  const bomb = compress(spaces);
  freeMemory(spaces);
  return bomb;
}

test('connections that never spoke are closed in time', async () => {
  await using it = await startServer({ config: { 'ingest.requestMsMax': 500 } });
  const idle = Array.from({ length: 200 }, () => dial(it));
  const answers = await Promise.all(idle.map(peer => peer.ended));
  assert.deepEqual(new Set(answers.flatMap(statusesOf)), new Set(['408']));
});

test('idle connections give way to new ones, the longest idle first; busy ones stay', async () => {
  await using it = await startServer({ config: { 'http.connectionsMax': 16 } });
  const durable = Promise.withResolvers<void>();
  it.world.append = () => durable.promise;
  const closed: number[] = [];
  const open = async (index: number, text: string) => {
    const peer = dial(it);
    await new Promise(resolve => peer.socket.once('connect', resolve));
    peer.socket.write(text);
    peer.ended.then(() => closed.push(index));
    return peer;
  };
  const busy = await open(0, `${HEAD}Content-Length: 13\r\n\r\n{"events":[]}`);
  await until(() => it.meter.inFlightBytes > 0);
  for (let index = 1; index <= 30; index++) await open(index, index % 2 === 0 ? '' : 'POST /v1/tel');
  await until(() => closed.length === 15);
  assert.deepEqual(
    closed,
    Array.from({ length: 15 }, (_, index) => index + 1),
  );
  durable.resolve();
  const answer = await new Promise<Buffer>(resolve => busy.socket.once('data', resolve));
  assert.deepEqual(statusesOf(answer.toString()), ['200']);
  assert.equal((await post(it, { events: [] })).status, 200);
});

test('where every connection is busy a new one is closed, and there is room again afterwards', async () => {
  await using it = await startServer({ config: { 'http.connectionsMax': 16 } });
  const durable = Promise.withResolvers<void>();
  it.world.append = () => durable.promise;
  const answers = Array.from({ length: 16 }, () => post(it, { events: [] }));
  await until(() => it.meter.inFlight === 16);
  assert.equal(await dial(it).ended, '');
  durable.resolve();
  for (const answer of answers) assert.equal((await answer).status, 200);
  assert.equal((await post(it, { events: [] })).status, 200);
});

test('close answers what is in flight, lets idle connections go and takes no new ones', async () => {
  const it = await startServer();
  const durable = Promise.withResolvers<void>();
  it.world.append = () => durable.promise;
  await (await ask(it, '/v1/jobs')).text();
  const idle = dial(it);
  idle.socket.write('GET /version HTTP/1.1\r\nHost: localhost:1\r\n\r\n');
  await new Promise(resolve => idle.socket.once('data', resolve));
  const inFlight = dial(it);
  inFlight.socket.write(`${HEAD}Content-Length: 13\r\n\r\n{"events":[]}`);
  await until(() => it.meter.inFlightBytes > 0);
  const closed = it.server.close();
  await idle.ended;
  await assert.rejects(post(it, { events: [] }));
  durable.resolve();
  assert.deepEqual(statusesOf(await inFlight.ended), ['200']);
  await closed;
});

test('a port that is taken and a public address without names are said so', async () => {
  await using it = await startServer();
  const options = {
    environment: 'local',
    backend: it.backend,
    meter: it.meter,
    ingest: () => {},
    token: 't',
    version: { version: '' },
    nowMs: () => 0,
    onBug: () => {},
  };
  const start = (changes: Parameters<typeof aConfig>[0]) =>
    createServer({ ...options, config: aConfig(changes) });
  await assert.rejects(start({ 'http.port': it.server.port }), { code: 'ERR_PORT_TAKEN' });
  await assert.rejects(start({ 'http.host': '0.0.0.0' }), { code: 'ERR_CONFIG_INVALID' });
  await assert.rejects(start({ 'http.host': '203.0.113.7', 'http.allowedHosts': ['x'] }), {
    code: 'ERR_CONFIG_INVALID',
  });
});
