import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { operationRoutes } from '../../src/services/query/operation-routes.ts';
import type { OperationsApi } from '../../src/services/query/operations-api.ts';
import type { ApiContext } from '../../src/services/query/route.ts';

test('a run is asked for in the types that it is documented with, or refused', async () => {
  const asked: unknown[] = [];
  const begin = async (request: unknown) => {
    asked.push(request);
    return Readable.from([]);
  };
  const api = { run: begin };
  const route = operationRoutes(api as Partial<OperationsApi> as OperationsApi).find(
    ({ method, path }) => method === 'POST' && path === '/v1/run',
  )!;
  const run = async (body: object) =>
    route.run({} as ApiContext, {
      params: {},
      query: {},
      headers: {},
      body: Buffer.from(JSON.stringify(body)),
    });
  for (const odd of [{ only: 'yes' }, { only: null }, { jobs: 'dedup' }, { paths: [] }, { paths: [1] }]) {
    await assert.rejects(run({ paths: ['Build'], ...odd }), { code: 'ERR_REQUEST_INVALID' });
  }
  assert.deepEqual(asked, []);
  await run({ paths: ['Build'], only: true });
  assert.deepEqual(asked, [{ paths: ['Build'], jobs: [], only: true, confirm: undefined }]);
});
