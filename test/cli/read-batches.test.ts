import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { readBatches } from '../../src/cli/read-batches.ts';
import { groupLines, joinLines, readLines, splitLines } from '../../src/cli/read-lines.ts';
import { collect } from '../collect.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-read-'));
after(() => rmSync(directory, { recursive: true }));

function fileOf(content: string | Uint8Array): string {
  const path = join(directory, 'input');
  writeFileSync(path, content);
  return path;
}

async function* chunked(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  for (let index = 0; start < bytes.length; index++) {
    const end = start + (sizes[index % sizes.length] ?? 1);
    yield bytes.subarray(start, end);
    start = end;
  }
}

describe('splitLines', () => {
  it('gives the lines that are not blank with their numbers, however the bytes are cut (property)', async () => {
    const line = fc.constantFrom('', ' ', '{"a":1}', '\t\r', 'é€😀', '"x"\r');
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(line), sizes, async (lines, cuts) => {
        const bytes = Buffer.from(lines.join('\n'));
        const found = await collect(splitLines(chunked(bytes, cuts), 'input'));
        const expected = lines
          .map((text, index) => ({ line: index + 1, text }))
          .filter(row => row.text.trim() !== '');
        assert.deepEqual(
          found.map(row => ({ line: row.line, text: row.bytes.toString() })),
          expected,
        );
      }),
    );
  });
});

describe('groupLines', () => {
  it('keeps every line, in order, within the limit', async () => {
    const path = fileOf(Array.from({ length: 25 }, (_, index) => `"${index}"`).join('\n'));
    const groups = await collect(groupLines(readLines(path), { linesMax: 10, bytesMax: 40 }));
    assert.deepEqual(
      groups.flat().map(row => row.line),
      Array.from({ length: 25 }, (_, index) => index + 1),
    );
    for (const group of groups) assert.ok(group.length <= 10 && joinLines(group).length <= 40);
  });

  it('gives a line that is too long a group of its own', async () => {
    const path = fileOf(`1\n"${'x'.repeat(100)}"\n2\n`);
    const groups = await collect(groupLines(readLines(path), { linesMax: 10, bytesMax: 40 }));
    assert.deepEqual(
      groups.map(group => group.map(row => row.line)),
      [[1], [2], [3]],
    );
  });
});

describe('readBatches', () => {
  const read = (content: string | Uint8Array) => collect(readBatches(fileOf(content)));

  it('takes a pretty-printed document as one batch, byte for byte', async () => {
    const text = `${JSON.stringify({ events: [{}, {}] }, null, 2)}\n`;
    const [batch, ...others] = await read(text);
    assert.equal(others.length, 0);
    assert.deepEqual({ line: batch?.line, events: batch?.events }, { line: 1, events: 2 });
    assert.equal(Buffer.from(batch?.bytes ?? []).toString(), text);
  });

  it('takes JSON lines one by one, and keeps those it cannot parse', async () => {
    const batches = await read('{"events":[1,2,3]}\n\nnot json\n{"events":[]}');
    assert.deepEqual(
      batches.map(({ line, events, bytes }) => [line, events, Buffer.from(bytes).toString()]),
      [
        [1, 3, '{"events":[1,2,3]}'],
        [3, 0, 'not json'],
        [4, 0, '{"events":[]}'],
      ],
    );
  });

  it('does not change bytes that are not UTF-8', async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0xfe, 0x7d]);
    assert.deepEqual(Buffer.from((await read(bytes))[0]?.bytes ?? []), bytes);
  });

  it('finds nothing in an empty file, and says where one is missing', async () => {
    assert.deepEqual(await read(''), []);
    await assert.rejects(collect(readBatches(join(directory, 'none'))), {
      code: 'ERR_FILE_UNREADABLE',
    });
  });
});
