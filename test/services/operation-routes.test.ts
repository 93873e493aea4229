import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { OperationsApi } from '../../src/services/query/operations-api.ts';
import { ask, startServer } from './start-server.ts';

/** Notes what it is asked to do, which is all that these routes decide. */
function createNotes() {
  const asked: object[] = [];
  const note = async (request: object): Promise<Readable> => {
    asked.push(request);
    return Readable.from(['{"ok":true}\n']);
  };
  const operations: Pick<OperationsApi, 'run' | 'undo' | 'close'> = {
    run: note,
    undo: note,
    close: async () => {},
  };
  return { asked, operations: operations as OperationsApi };
}

async function post(it: Parameters<typeof ask>[0], path: string, body: string) {
  const response = await ask(it, path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  if (response.status === 200) return 200;
  const { error } = (await response.json()) as { error: { code: string; why: string } };
  return `${response.status} ${error.code} ${error.why}`;
}

test('runs and takes back what it is told', async () => {
  const { asked, operations } = createNotes();
  await using it = await startServer({ operations });
  assert.equal(
    await post(it, '/v1/run', '{"paths":["Kafka"],"jobs":["dedup"],"only":true,"confirm":"local"}'),
    200,
  );
  assert.equal(await post(it, '/v1/run', '{"paths":["Kafka"]}'), 200);
  assert.equal(await post(it, '/v1/undo', '{"path":"Redis"}'), 200);
  assert.deepEqual(asked, [
    { paths: ['Kafka'], jobs: ['dedup'], only: true, confirm: 'local' },
    { paths: ['Kafka'], jobs: [], only: false, confirm: undefined },
    { path: 'Redis', confirm: undefined },
  ]);
});

test('does nothing where a member is misspelt or of another type: a run would do more than was meant', async () => {
  const { asked, operations } = createNotes();
  await using it = await startServer({ operations });
  const wrong: readonly (readonly [path: string, body: string, why: string])[] = [
    ['/v1/run', '{"paths":["Kafka"],"only":"yes"}', '400 ERR_REQUEST_INVALID only must be true or false'],
    ['/v1/run', '{"paths":["Kafka"],"onyl":true}', '400 ERR_REQUEST_INVALID the body has a surplus onyl'],
    ['/v1/run', '{"paths":["Kafka"],"confirm":1}', '400 ERR_REQUEST_INVALID confirm must be a text'],
    ['/v1/run', '{"paths":[]}', '400 ERR_REQUEST_INVALID paths must be 1 to 64 texts'],
    ['/v1/run', '[]', '400 ERR_REQUEST_INVALID the body is not a JSON object'],
    ['/v1/run', '{', '400 ERR_BODY_UNREADABLE the text is not JSON'],
    [
      '/v1/undo',
      '{"path":"Redis","removeData":true}',
      '400 ERR_REQUEST_INVALID the body has a surplus removeData',
    ],
    ['/v1/undo', '{}', '400 ERR_REQUEST_INVALID path must name one operation'],
  ];
  for (const [path, body, why] of wrong) assert.equal(await post(it, path, body), why, body);
  assert.deepEqual(asked, []);
});
