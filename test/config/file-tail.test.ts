import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFileTail } from '../../src/config/file-tail.ts';

test('the end of a file, and whether something stands before it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-tail-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'log');
  await writeFile(file, 'first\nsecond\n');
  const seen = async (bytesMax: number) => {
    const { text, isCut } = await readFileTail(file, bytesMax);
    return [text, isCut];
  };
  assert.deepEqual(await seen(100), ['first\nsecond\n', false]);
  assert.deepEqual(await seen(13), ['first\nsecond\n', false]);
  assert.deepEqual(await seen(9), ['t\nsecond\n', true]);
  await assert.rejects(readFileTail(join(folder, 'none'), 9), { code: 'ENOENT' });
});
