import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPulse } from '../../src/services/query/pulse.ts';
import { apiRoutes } from '../../src/services/query/routes.ts';
import { sendFixture } from './send-request.ts';
import { ask, startServer, type TestServer, TOKEN } from './start-server.ts';

/** Path parameters that name something there is. */
const NAMED: Readonly<Record<string, string>> = {
  ':topic': 'telemetry.failed',
  ':mid': 'm-1',
  ':id': 'local.telemetry.failed:0:3',
  ':dataset': 'user',
  ':key': 'u-1',
  ':file': 'index-1.js',
};
const OPEN = ['GET /health', 'GET /metrics', 'GET /openapi.json', 'GET /version'];

interface Probe {
  readonly method: string;
  readonly path: string;
  /** Its answer cannot be read to the end. */
  readonly isEndless?: boolean;
}

/** A request for every route, from the table that registers them. */
function probes(it: TestServer): Probe[] {
  const { meter, backend } = it;
  const pulse = createPulse({ meter, backend, nowMs: Date.now, onBug: assert.fail });
  const routes = apiRoutes({ meter, backend, version: { version: '' } }, pulse);
  return routes.map(({ method, path, isEndless = false }) => ({
    method,
    path: path.replace(/:\w+/g, name => NAMED[name]!),
    isEndless,
  }));
}

async function statusOf(
  it: TestServer,
  { method, path }: Probe,
  headers: Record<string, string>,
): Promise<number> {
  return (await sendFixture(it.url, { does: '', method, path, headers })).status;
}

test('every route but the four open ones needs the token, however it is presented wrongly', async () => {
  await using it = await startServer();
  const wrong = [
    {},
    { authorization: '' },
    { authorization: 'Bearer' },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: `Bearer ${TOKEN.toUpperCase()}` },
    { authorization: `Basic ${TOKEN}` },
    { authorization: `Bearer x, Bearer ${TOKEN}` },
    { authorization: 'Bearer x', cookie: `millrace=${TOKEN}` },
    { cookie: 'millrace=' },
    { cookie: `Millrace=${TOKEN}` },
    { cookie: `xmillrace=${TOKEN}` },
    { 'x-http-method-override': 'OPTIONS' },
  ];
  for (const probe of probes(it)) {
    const isOpen = OPEN.includes(`${probe.method} ${probe.path}`);
    for (const headers of wrong) {
      const status = await statusOf(it, probe, headers as Record<string, string>);
      assert.equal(status, isOpen ? 200 : 401, `${probe.method} ${probe.path} ${JSON.stringify(headers)}`);
    }
    if (probe.isEndless) continue;
    assert.notEqual(await statusOf(it, probe, { authorization: `bearer ${TOKEN}` }), 401);
    assert.notEqual(await statusOf(it, probe, { cookie: `a=b; millrace=${TOKEN}` }), 401);
  }
});

test('every route refuses a foreign Host or Origin, with the token too', async () => {
  await using it = await startServer({
    config: { 'http.allowedHosts': ['Gate.example', 'other.example:8443'] },
  });
  const { port } = it.server;
  const foreign = [
    { host: 'evil.example' },
    { host: `evil.example:${port}` },
    { host: '127.0.0.1:1' },
    { host: '127.0.0.1' },
    { host: `127.0.0.1.evil.example:${port}` },
    { host: `localhost:${port}@evil.example` },
    { host: 'other.example:80' },
    { origin: 'null' },
    { origin: 'http://evil.example' },
    { origin: `http://127.0.0.1:${port}.evil.example` },
    { origin: `http://localhost:${port}/path` },
    { origin: 'http://127.0.0.1:1' },
  ];
  const own = [
    { host: `localhost:${port}` },
    { host: `LOCALHOST:${port}`, origin: `http://localhost:${port}` },
    { host: `[::1]:${port}` },
    { host: 'gate.example' },
    { host: 'gate.example:99', origin: 'https://gate.example' },
    { host: 'other.example:8443' },
  ];
  const authorization = `Bearer ${TOKEN}`;
  for (const probe of [...probes(it), { method: 'GET', path: '/no/such' }]) {
    for (const headers of foreign) {
      const status = await statusOf(it, probe, { authorization, ...(headers as Record<string, string>) });
      assert.equal(status, 403, `${probe.method} ${probe.path} ${JSON.stringify(headers)}`);
    }
  }
  for (const headers of own) {
    const sent = { authorization, ...(headers as Record<string, string>) };
    assert.equal(await statusOf(it, { method: 'GET', path: '/v1/jobs' }, sent), 200, JSON.stringify(headers));
  }
});

test('the printed URL moves the token into a cookie that other sites cannot use', async () => {
  await using it = await startServer();
  const response = await fetch(`${it.url}/?token=${TOKEN}`, { redirect: 'manual' });
  assert.equal(response.status, 303);
  assert.equal(response.headers.get('location'), '/');
  assert.equal(response.headers.get('set-cookie'), `millrace=${TOKEN}; Path=/; HttpOnly; SameSite=Strict`);
  const wrong = await fetch(`${it.url}/?token=${TOKEN}x`, { redirect: 'manual' });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.headers.get('set-cookie'), null);
});

test('a wrong token in the address is called wrong, with the remedy, to scripts and to browsers', async () => {
  await using it = await startServer();
  const script = await fetch(`${it.url}/?token=${TOKEN}x`);
  const { error } = (await script.json()) as { error: { code: string; why: string; remedy: string } };
  assert.equal(error.code, 'ERR_UNAUTHORIZED');
  assert.equal(error.why, 'the token in the address is another one');
  assert.match(error.remedy, /millrace status/);
  const accept = { accept: 'text/html' };
  const wrong = await fetch(`${it.url}/?token=${TOKEN}x`, { headers: accept });
  assert.equal(wrong.status, 401);
  const page = await wrong.text();
  assert.match(page, /not the key of this Millrace/);
  assert.match(page, /bin\/millrace status/);
  assert.equal(page.includes(TOKEN), false, 'the page repeats no token');
  const none = await (await fetch(`${it.url}/`, { headers: accept })).text();
  assert.match(none, /has not been let in yet/);
});

test('every answer carries the security headers and none of the ingest ones', async () => {
  await using it = await startServer();
  for (const path of ['/health', '/v1/topics', '/no/such', '/%zz']) {
    const { headers } = await ask(it, path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('cache-control'), 'no-store', path);
    assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'/, path);
    assert.equal(headers.get('access-control-allow-origin'), null, path);
  }
});
