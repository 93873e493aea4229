import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'iovalkey';
import { WideCommand } from '../../src/adapters/redis/wide-command.ts';

describe('WideCommand', () => {
  const texts: Readonly<Record<string, readonly string[]>> = {
    ASCII: ['a', '', 'bench-17', 'x'.repeat(2_000), 'with \r\n in it', '$3'],
    'characters of one byte in memory and two in UTF-8': ['a', 'é', 'ÿ'.repeat(100)],
    'characters of any size': ['à', '日本語', '🙂', '\0', 'b'],
  };
  for (const [what, args] of Object.entries(texts)) {
    it(`has the bytes of the client's own command: ${what}`, () => {
      const own = Buffer.from(new Command('mget', [...args]).toWritable({}));
      assert.deepEqual(new WideCommand('mget', args).toWritable(), own);
    });
  }
});
