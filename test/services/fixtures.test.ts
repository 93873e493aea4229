import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts';
import { matchesIngest } from '../../src/services/ingest/ingest.ts';
import { listFixtures, readFixture, sendFixture } from './send-request.ts';
import { startServer } from './start-server.ts';

/** Errors that a request alone can bring about. */
const CODES: readonly ErrorCode[] = [
  'ERR_BODY_UNREADABLE',
  'ERR_BODY_ENCODING',
  'ERR_BODY_NO_EVENTS',
  'ERR_BODY_TOO_DEEP',
  'ERR_BODY_TOO_MANY',
  'ERR_BODY_TOO_LARGE',
  'ERR_BODY_TIMEOUT',
  'ERR_MEDIA_TYPE',
  'ERR_ENCODING_UNSUPPORTED',
  'ERR_REQUEST_INVALID',
  'ERR_UNAUTHORIZED',
  'ERR_ORIGIN_REFUSED',
  'ERR_UPLOAD_TOO_LARGE',
  'ERR_NOT_FOUND',
  'ERR_METHOD_NOT_ALLOWED',
];

for (const code of CODES) {
  const fixture = readFixture(`invalid/${code}/request.json`);
  test(`${code}: ${fixture.does}`, async () => {
    await using it = await startServer({ config: fixture.config ?? {} });
    const answer = await sendFixture(it.url, fixture);
    assert.equal(answer.status, ERRORS[code].httpStatus);
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    const document = JSON.parse(answer.text);
    if (matchesIngest(fixture.path)) {
      assert.equal(document.id, 'api.telemetry');
      assert.equal(document.responseCode, 'CLIENT_ERROR');
      assert.equal(document.params.err, code);
      assert.ok(document.params.errmsg.startsWith(`${ERRORS[code].message}: `));
    } else {
      assert.equal(document.error.code, code);
      assert.deepEqual(Object.keys(document.error), ['code', 'message', 'why', 'remedy']);
    }
    assert.equal(it.world.records.length, 0);
    assert.deepEqual(it.world.bugs, []);
  });
}

for (const name of listFixtures('http')) {
  const fixture = readFixture(`http/${name}`);
  test(`${name}: ${fixture.does}`, async () => {
    await using it = await startServer();
    const answer = await sendFixture(it.url, fixture);
    assert.equal(answer.status, 200, answer.text);
    const record = it.world.records[0]!;
    const text = Buffer.from(record.value).toString();
    assert.doesNotMatch(text, /[\n\r\ufeff]/);
    const { did = null, channel = null, pid = null, mid, events } = JSON.parse(text);
    const key = record.key === mid && fixture.expect?.key === 'mid' ? 'mid' : record.key;
    assert.deepEqual({ did, channel, pid, key, events: events.length }, fixture.expect);
  });
}
