import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodySlabs } from '../../src/services/ingest/body-slabs.ts';
import { post, startServer } from './start-server.ts';

const KIB = 1024;

/** Two pieces of so many bytes in all, each byte the same. */
function pieces(bytes: number, byte: number): readonly Buffer[] {
  return [Buffer.alloc(bytes - 10, byte), Buffer.alloc(10, byte)];
}

test('a body lies in memory of its own until it is given back, which the next one then uses', () => {
  const slabs = new BodySlabs();
  const [first, second] = [slabs.join(pieces(100 * KIB, 1)), slabs.join(pieces(200 * KIB, 2))];
  assert.notEqual(first.buffer, second.buffer);
  assert.deepEqual(first, Buffer.alloc(100 * KIB, 1));
  slabs.giveBack(first);
  const third = slabs.join(pieces(256 * KIB, 3));
  assert.equal(third.buffer, first.buffer);
  assert.deepEqual(third, Buffer.alloc(256 * KIB, 3));
  assert.deepEqual(second, Buffer.alloc(200 * KIB, 2));
});

test('one piece, a large body and one of too many at once have memory of their own', () => {
  const slabs = new BodySlabs();
  const single = Buffer.alloc(10, 1);
  assert.equal(slabs.join([single]), single);
  const large = slabs.join(pieces(256 * KIB + 1, 2));
  assert.deepEqual(large, Buffer.alloc(256 * KIB + 1, 2));
  const held = Array.from({ length: 40 }, (_, index) => slabs.join(pieces(70 * KIB, index)));
  assert.equal(new Set(held.map(({ buffer }) => buffer)).size, 40);
  for (const body of [single, large, ...held]) slabs.giveBack(body);
  // Of those, 32 were slabs and are used again; what was not is never handed out.
  const again = Array.from({ length: 40 }, (_, index) => slabs.join(pieces(70 * KIB, 100 + index)));
  const known = new Set(held.map(({ buffer }) => buffer));
  assert.equal(again.filter(({ buffer }) => known.has(buffer)).length, 32);
  for (const [index, body] of again.entries()) assert.deepEqual(body, Buffer.alloc(70 * KIB, 100 + index));
});

test('bodies of several pieces, many at once and one after the other, are stored as they were sent', async () => {
  await using it = await startServer();
  const bodyOf = (n: number) => ({ mid: `m-${n}`, events: [{ text: String(n % 10).repeat(100 * KIB + n) }] });
  for (let round = 0; round < 3; round++) {
    const bodies = Array.from({ length: 50 }, (_, index) => bodyOf(50 * round + index));
    const answers = await Promise.all(bodies.map(body => post(it, body)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  }
  const stored = it.world.records.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
  stored.sort((a, b) => Number(a.mid.slice(2)) - Number(b.mid.slice(2)));
  assert.equal(stored.length, 150);
  for (const [n, { mid, events }] of stored.entries()) assert.deepEqual({ mid, events }, bodyOf(n));
});
