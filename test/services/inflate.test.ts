import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { MillraceError } from '../../src/core/errors.ts';
import { freeMemory } from '../../src/core/free-memory.ts';
import { type Encoding, inflateBody } from '../../src/services/ingest/inflate.ts';

const FORMATS: readonly [string, Encoding, (bytes: Buffer) => Buffer][] = [
  ['gzip', 'gzip', gzipSync],
  ['zlib', 'deflate', deflateSync],
  ['raw deflate', 'deflate', deflateRawSync],
  ['brotli', 'br', bytes => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } })],
];

/** Text of hexadecimal digits, which halves: long enough, it is inflated aside. */
function textOf(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 64) }, (_, at) =>
    createHash('sha256').update(`${at}`).digest('hex'),
  );
  return Buffer.from(parts.join('').slice(0, length));
}

const codeOf = (result: Buffer | MillraceError) =>
  result instanceof MillraceError ? result.code : 'inflated';

for (const [name, encoding, compress] of FORMATS) {
  test(`${name}: short and long bodies are what they were, up to the last byte that is let in`, async () => {
    for (const length of [0, 1, 70_000, 262_144, 1_048_576, 1_500_001]) {
      const body = textOf(length);
      const packed = compress(body);
      const kept = Buffer.from(packed);
      const inflated = await inflateBody(packed, encoding, Math.max(length, 1));
      assert.ok(Buffer.isBuffer(inflated) && inflated.equals(body), `${length} bytes`);
      assert.ok(packed.equals(kept), 'what came is left as it was');
      if (length < 2) continue;
      assert.equal(codeOf(await inflateBody(packed, encoding, length - 1)), 'ERR_BODY_TOO_LARGE');
    }
  });

  test(`${name}: a short body may come to a thousand times its length, up to what is let in`, async () => {
    const body = Buffer.alloc(5_000_000, ' ');
    const packed = compress(body);
    assert.ok(packed.length < 64 * 1024);
    const inflated = await inflateBody(packed, encoding, body.length);
    assert.ok(Buffer.isBuffer(inflated) && inflated.equals(body));
    assert.equal(codeOf(await inflateBody(packed, encoding, body.length - 1)), 'ERR_BODY_TOO_LARGE');
  });

  test(`${name}: what is cut off is named, however long`, async () => {
    for (const length of [1000, 1_500_001]) {
      const packed = compress(textOf(length));
      const cut = packed.subarray(0, packed.length - packed.length / 3);
      assert.equal(
        codeOf(await inflateBody(cut, encoding, 5_000_000)),
        'ERR_BODY_ENCODING',
        `${length} bytes`,
      );
    }
  });
}

test('gzip may end with a length that is not that of all it holds', async () => {
  const texts = [textOf(300_000), textOf(10), textOf(0), textOf(2_000_000), textOf(700)];
  const inRow = Buffer.concat(texts.map(text => gzipSync(text)));
  const whole = Buffer.concat(texts);
  const inflated = await inflateBody(inRow, 'gzip', whole.length);
  assert.ok(Buffer.isBuffer(inflated) && inflated.equals(whole), 'several in a row are one body');
  assert.equal(codeOf(await inflateBody(inRow, 'gzip', whole.length - 1)), 'ERR_BODY_TOO_LARGE');

  for (const length of [0, 1, 999, 1001, 900_000, 3_000_000, 0xffff_ffff]) {
    const lie = gzipSync(textOf(1000));
    lie.writeUInt32LE(length, lie.length - 4);
    assert.equal(codeOf(await inflateBody(lie, 'gzip', 5_000_000)), 'ERR_BODY_ENCODING', `${length}`);
  }
});

test('a long body that comes to nothing does not hold up the thread', async () => {
  const packed = gzipSync('');
  // Blocks without content (RFC 1951, 3.2.4), between gzip's ten bytes and its last block.
  const blocks = Buffer.alloc(5 * 800_000, Buffer.from([0, 0, 0, 0xff, 0xff]));
  const long = Buffer.concat([packed.subarray(0, 10), blocks, packed.subarray(10)]);
  let isDone = false;
  const inflating = inflateBody(long, 'gzip', 5_000_000).finally(() => {
    isDone = true;
  });
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assert.ok(!isDone, 'it is inflated aside');
  assert.deepEqual(await inflating, Buffer.alloc(0));
});

test('many long bodies at once, some of them too large, do not touch each other', async () => {
  const packed = FORMATS.map(([, encoding, compress]) => ({ encoding, bytes: compress(textOf(2_000_000)) }));
  const results = await Promise.all(
    Array.from({ length: 32 }, (_, at) => {
      const { encoding, bytes } = packed[at % packed.length]!;
      return inflateBody(bytes, encoding, at % 3 === 0 ? 700_000 : 2_000_000);
    }),
  );
  const whole = textOf(2_000_000);
  for (const [at, result] of results.entries()) {
    if (at % 3 === 0) assert.equal(codeOf(result), 'ERR_BODY_TOO_LARGE');
    else assert.ok(Buffer.isBuffer(result) && result.equals(whole), `body ${at}`);
  }
});

test('memory is freed at once, but not that of the pool that others have a part in', () => {
  const own = Buffer.allocUnsafeSlow(100_000);
  const part = own.subarray(5, 10);
  freeMemory(part);
  assert.deepEqual([own.length, part.length], [0, 0]);
  freeMemory(own);
  const whole = Buffer.allocUnsafeSlow(Buffer.poolSize);
  freeMemory(whole);
  assert.equal(whole.length, 0, 'as long as the pool, and not of it');

  const pooled = Buffer.from('a short text');
  freeMemory(pooled);
  assert.equal(pooled.toString(), 'a short text');
  freeMemory(new Uint8Array(new SharedArrayBuffer(8)));
});
