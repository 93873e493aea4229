import assert from 'node:assert/strict';
import test from 'node:test';
import { postgresError } from '../../src/adapters/tables/postgres-error.ts';

const PLACE = 'PostgreSQL millrace@db.example.org:5432/millrace';

function failure(message: string, code?: string) {
  const { code: named, remedy } = postgresError(Object.assign(new Error(message), { code }), PLACE);
  return [named, remedy];
}

test('a PostgreSQL that was not reached says which keys lead to it, as nothing may serve yet', () => {
  const reach = 'Check that PostgreSQL runs there, and postgres.host, postgres.port and postgres.tls.';
  for (const [message, code] of [
    ['connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'],
    ['getaddrinfo ENOTFOUND db.example.org', 'ENOTFOUND'],
    ['Connection terminated due to connection timeout', undefined],
  ] as const) {
    assert.deepEqual(failure(message, code), ['ERR_STORE_UNAVAILABLE', reach]);
  }
  for (const [message, code] of [
    ['self-signed certificate in certificate chain', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['The server does not support SSL connections', undefined],
  ] as const) {
    assert.match(String(failure(message, code)[1]), /^Check postgres\.tls, and that postgres\.caFile/);
  }
});

test('what PostgreSQL says itself keeps its own remedy', () => {
  assert.match(String(failure('database "x" does not exist', '3D000')[1]), /^Create the database/);
  assert.equal(failure('password authentication failed', '28P01')[0], 'ERR_STORE_AUTH');
  assert.equal(failure('SASL: client password must be a string')[0], 'ERR_STORE_AUTH');
});
