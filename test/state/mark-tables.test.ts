import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DigestTable } from '../../src/adapters/state/digest-table.ts';
import { MarkTables } from '../../src/adapters/state/mark-tables.ts';

const digestOf = (n: number) => new Uint32Array([(n * 2654435761) >>> 0, n, n ^ 0x5bd1e995, 7]);

describe('DigestTable', () => {
  it('finds every key it was given and no other, through growth', () => {
    const table = new DigestTable(1_000_000);
    for (let n = 0; n < 50_000; n++) table.set(digestOf(n), 1_000_000 + n);
    assert.equal(table.count, 50_000);
    for (let n = 0; n < 50_000; n++) assert.equal(table.timeOf(digestOf(n)), 1_000_000 + n);
    for (let n = 50_000; n < 60_000; n++) assert.ok(Number.isNaN(table.timeOf(digestOf(n))));
  });

  it('needs at most 41 bytes a key once it has grown', () => {
    const table = new DigestTable(0);
    let bytesPerKeyMax = 0;
    for (let n = 0; n < 100_000; n++) {
      table.set(digestOf(n), n);
      if (n > 5_000) bytesPerKeyMax = Math.max(bytesPerKeyMax, table.bytes().byteLength / table.count);
    }
    assert.ok(bytesPerKeyMax <= 41, `${bytesPerKeyMax} bytes a key`);
  });

  it('tells digests apart that share their first word, zero included', () => {
    const table = new DigestTable(0);
    const digests = [0, 1, 2, 3].map(n => new Uint32Array([0, 0, 0, n + 1]));
    for (const [i, digest] of digests.entries()) table.set(digest, i);
    for (const [i, digest] of digests.entries()) assert.equal(table.timeOf(digest), i);
  });
});

describe('MarkTables', () => {
  it('agrees with a map of times for any sequence of marks, clock jumps included', () => {
    const ttlMs = 1000;
    const step = fc.record({ key: fc.nat(20), advanceMs: fc.integer({ min: -3000, max: 3000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const tables = new MarkTables(ttlMs);
        const model = new Map<number, number>();
        let nowMs = 1_700_000_000_000;
        let latestMs = nowMs;
        for (const { key, advanceMs } of steps) {
          nowMs += advanceMs;
          latestMs = Math.max(latestMs, nowMs);
          const expiresAtMs = tables.expiresAtMs(digestOf(key));
          const isSeen = expiresAtMs !== undefined && nowMs < expiresAtMs;
          const markedMs = model.get(key);
          const isExpected = markedMs !== undefined && nowMs < markedMs + ttlMs;
          // A table that had wholly expired may be gone when the clock steps back behind its end.
          const isDropped = markedMs !== undefined && latestMs >= markedMs + ttlMs;
          if (isSeen !== isExpected) assert.ok(isExpected && isDropped && expiresAtMs === undefined);
          if (isSeen) continue;
          tables.mark(digestOf(key), nowMs);
          model.set(key, nowMs);
        }
      }),
    );
  });

  it('drops tables that have expired', () => {
    const tables = new MarkTables(1000);
    for (let n = 0; n < 10_000; n++) tables.mark(digestOf(n), n * 10);
    assert.ok(tables.tables.length <= 6, `${tables.tables.length} tables`);
    assert.ok(tables.count <= 150, `${tables.count} keys`);
  });
});
