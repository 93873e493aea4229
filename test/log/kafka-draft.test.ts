import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DraftBlocks, KafkaDraft } from '../../src/adapters/log/kafka/kafka-draft.ts';
import type { Commit } from '../../src/core/ports.ts';

const HEAD = Buffer.from('{"a":1}');
const RECORD = { key: null, timeMs: 1, headers: {} };

async function committed(blocks: DraftBlocks, tails: readonly (string | Uint8Array)[]) {
  const values: Uint8Array[] = [];
  const texts: string[] = [];
  const draft = new KafkaDraft({
    blocks,
    checkPartition: () => {},
    // As of the moment of the commit: the memory is the next draft's afterwards.
    commit: async ({ appends }: Commit) => {
      for (const { value } of appends.flatMap(({ records }) => records)) {
        values.push(value);
        texts.push(Buffer.from(value).toString('utf8'));
      }
      return { baseOffsets: [], position: 0 };
    },
  });
  for (const tail of tails) draft.writer('alpha', 0).add(RECORD, { head: HEAD, from: 0, to: 6, tail });
  await draft.commit({});
  return { values, texts };
}

describe('a draft of a commit on Kafka', () => {
  it('keeps each value whole, over more than one block and beyond ASCII', async () => {
    const tails = Array.from({ length: 40 }, (_, i) => `,"b":"${'ä€😀'.repeat(i * 1000)}"}`);
    const blocks = new DraftBlocks();
    for (let round = 0; round < 2; round++) {
      const { texts } = await committed(blocks, [...tails, Buffer.from('}')]);
      assert.deepEqual(
        texts,
        [...tails, '}'].map(tail => `{"a":1${tail}`),
      );
    }
  });

  it('takes for one record no more than that may need', async () => {
    const { values } = await committed(new DraftBlocks(), ['}']);
    assert.ok(values[0]!.buffer.byteLength < 64, `${values[0]!.buffer.byteLength} bytes`);
  });
});
