import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readBody } from '../../src/services/ingest/read-body.ts';

/** A body in two pieces of its own memory, whose reading ends as it is told to. */
async function readTwo(end: (request: PassThrough) => void, bytesMax = 100) {
  const request = new PassThrough();
  const pieces = ['one ', 'two'].map(text => {
    const piece = Buffer.allocUnsafeSlow(text.length);
    piece.write(text);
    return piece;
  });
  const memory = { reserve: () => true, own: () => {}, release: () => {} };
  const limits = {
    bytesMax,
    refusedBytesMax: 1000,
    msMax: 50,
    tooLarge: 'ERR_BODY_TOO_LARGE',
    memory,
  } as const;
  const reading = readBody(request as unknown as IncomingMessage, limits, null);
  for (const piece of pieces) request.write(piece);
  setImmediate(end, request);
  const { bytes, refusal } = await reading;
  return {
    text: bytes?.toString() ?? null,
    code: refusal?.code ?? null,
    isFreed: pieces.every(piece => piece.length === 0),
  };
}

test('the pieces of a body are freed, whatever becomes of it', async () => {
  const [ends, goesAway, isTooSlow] = [
    (request: PassThrough) => request.end(),
    (request: PassThrough) => request.destroy(),
    () => {},
  ];
  assert.deepEqual(await readTwo(ends), { text: 'one two', code: null, isFreed: true });
  assert.deepEqual(await readTwo(ends, 5), { text: null, code: 'ERR_BODY_TOO_LARGE', isFreed: true });
  assert.deepEqual(await readTwo(goesAway), { text: null, code: null, isFreed: true });
  assert.deepEqual(await readTwo(isTooSlow), { text: null, code: 'ERR_BODY_TIMEOUT', isFreed: true });
});
