import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Cache } from '../../src/core/ports.ts';

/** Bounds of the rows that a reader holds in memory. */
export interface CacheLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** An empty cache: who loads it, and who reads it as a job does, in another thread or process. */
export interface OpenedCache {
  readonly owner: Cache;
  readonly reader: Pick<Cache, 'get'>;
}

/** Opens an empty cache, closed when the test is over. */
export type OpenCache = (t: TestContext, limits?: CacheLimits) => Promise<OpenedCache>;

/** Bounds that no test but one reaches. */
export const LIMITS: CacheLimits = { rowsMax: 100, bytesMax: 1024 * 1024 };

/** What every store of master data does. Devices and users hold text, which is all that a hash of Redis can hold. */
export function testCache(name: string, open: OpenCache, skip: string | false = false): void {
  describe(`cache: ${name}`, { skip }, () => {
    it('shows a reader every row that was put before its get, absent and changed ones too', async t => {
      const { owner, reader } = await open(t);
      const keys = [
        { dataset: 'content', key: 'a' },
        { dataset: 'dialcode', key: 'a' },
        { dataset: 'device', key: 'a' },
        { dataset: 'user', key: 'a' },
        { dataset: 'content', key: 'b' },
      ] as const;
      assert.deepEqual(
        await reader.get(keys),
        keys.map(() => undefined),
      );
      await owner.put('content', [{ key: 'a', value: { n: 1 } }]);
      assert.deepEqual(await reader.get(keys), [{ n: 1 }, undefined, undefined, undefined, undefined]);
      await owner.put('content', [
        { key: 'a', value: { n: 2 } },
        { key: 'b', value: { n: 3 } },
      ]);
      await owner.put('dialcode', [{ key: 'a', value: { publisher: 'p' } }]);
      await owner.put('device', [{ key: 'a', value: { state: 'x' } }]);
      await owner.put('user', [{ key: 'a', value: { usertype: 'teacher' } }]);
      const rows = [{ n: 2 }, { publisher: 'p' }, { state: 'x' }, { usertype: 'teacher' }, { n: 3 }];
      assert.deepEqual(plain(await reader.get(keys)), rows);
      assert.deepEqual(plain(await owner.get(keys)), rows);
    });

    it('replaces a row whole', async t => {
      const { owner, reader } = await open(t);
      for (const dataset of ['content', 'device'] as const) {
        await owner.put(dataset, [{ key: 'a', value: { state: 'x', city: 'y' } }]);
        await reader.get([{ dataset, key: 'a' }]);
        await owner.put(dataset, [{ key: 'a', value: { city: 'z' } }]);
        assert.deepEqual(plain(await reader.get([{ dataset, key: 'a' }])), [{ city: 'z' }]);
      }
    });

    it('gives back odd keys and rows as they went in', async t => {
      const { owner, reader } = await open(t);
      const json = JSON.parse(
        '{"__proto__": {"polluted": true}, "n": 1e-7, "list": [null, {"a": "\\u0000"}]}',
      );
      const hash = JSON.parse(
        '{"__proto__": "polluted", "é": "\\n", "list": "[\\"a\\"]", "escaped": "\\\\[x\\\\]"}',
      );
      for (const key of ['__proto__', 'constructor', "'; DROP TABLE master_rows --", 'é\n"', 'user:', '']) {
        for (const [dataset, row] of [
          ['content', json],
          ['user', hash],
        ] as const) {
          await owner.put(dataset, [{ key, value: row }]);
          const [found] = await reader.get([{ dataset, key }]);
          assert.equal(JSON.stringify(found), JSON.stringify(row));
        }
      }
      assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
    });

    it('answers a call larger than its memory whole, and repeats in it', async t => {
      const { owner, reader } = await open(t, { rowsMax: 3, bytesMax: 1024 });
      const rows = Array.from({ length: 50 }, (_, n) => ({ key: `k${n}`, value: { n } }));
      await owner.put('content', rows);
      const keys = rows.map(({ key }) => ({ dataset: 'content' as const, key }));
      const values = rows.map(({ value }) => value);
      assert.deepEqual(await reader.get([...keys, ...keys]), [...values, ...values]);
    });

    it('shows a row to each get that begins after its put, whatever other gets are under way', async t => {
      const { owner, reader } = await open(t);
      const key = { dataset: 'content', key: 'a' } as const;
      const others: Promise<unknown>[] = [];
      for (let n = 0; n < 200; n++) {
        others.push(reader.get([key, { dataset: 'content', key: `k${n}` }]));
        const put = owner.put('content', [{ key: 'a', value: { n } }]);
        others.push(reader.get([key]));
        await put;
        others.push(reader.get([{ dataset: 'content', key: `l${n}` }]));
        assert.deepEqual(await reader.get([key]), [{ n }]);
      }
      await Promise.all(others);
    });

    it('takes nothing, asks for nothing', async t => {
      const { owner, reader } = await open(t);
      await owner.put('content', []);
      assert.deepEqual(await reader.get([]), []);
    });
  });
}

/** Rows by their content: what made them does not matter. */
function plain(rows: readonly unknown[]): unknown {
  return JSON.parse(JSON.stringify(rows));
}
