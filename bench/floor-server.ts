import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';

/**
 * The floor of durable ingest: a bare node:http server that parses the body, appends it, and answers when a sync
 * shared by all that wait is done. With `answer` it parses, keeps nothing and answers.
 */
const [mode, path] = process.argv.slice(2);
const REPLY = JSON.stringify({
  id: 'api.telemetry',
  ver: '1.0',
  ets: Date.now(),
  params: {},
  responseCode: 'SUCCESS',
});
const file = mode === 'durable' ? await open(path!, 'a') : null;
let waiting: { bytes: Buffer; resolve: () => void }[] = [];
let isWriting = false;

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks);
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
  JSON.parse(body.toString('utf8'));
  if (file !== null) await append(body);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(REPLY) });
  response.end(REPLY);
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));

function append(bytes: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  waiting.push({ bytes, resolve });
  if (!isWriting) void write();
  return promise;
}

async function write(): Promise<void> {
  isWriting = true;
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    await file!.writev(group.map(({ bytes }) => bytes));
    await file!.datasync();
    for (const { resolve } of group) resolve();
  }
  isWriting = false;
}
