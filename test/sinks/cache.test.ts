import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { RowMemory } from '../../src/adapters/cache/row-memory.ts';
import { openCacheOwner, openCacheReader } from '../../src/adapters/cache/sqlite-cache.ts';
import { LIMITS, testCache } from './cache-contract.ts';
import { atEnd, scratch } from './setting.ts';

function openBoth(t: TestContext, limits = LIMITS) {
  const file = path.join(scratch(t), 'cache.sqlite');
  const owner = openCacheOwner(file);
  const reader = openCacheReader(file, owner.version, limits);
  atEnd(t, async () => {
    await reader.close();
    await owner.close();
  });
  return { file, owner, reader };
}

testCache('sqlite', async (t, limits) => openBoth(t, limits));

test('a put is one transaction: all rows or none', async t => {
  const { owner, reader } = openBoth(t);
  const broken = { toJSON: () => assert.fail('cannot be written') };
  const rows = [
    { key: 'a', value: {} },
    { key: 'b', value: { broken: broken as never } },
  ];
  await assert.rejects(owner.put('user', rows), { code: 'ERR_STORE_UNAVAILABLE' });
  assert.deepEqual(await reader.get([{ dataset: 'user', key: 'a' }]), [undefined]);
  await owner.put('user', [{ key: 'c', value: {} }]);
  assert.deepEqual(await reader.get([{ dataset: 'user', key: 'c' }]), [{}]);
});

test('rows survive, and are read from another thread', async t => {
  const { file, owner } = openBoth(t);
  await owner.put('dialcode', [{ key: 'V4M5I6', value: { batchcode: 'x' } }]);
  const module = new URL('../../src/adapters/cache/sqlite-cache.ts', import.meta.url).href;
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads');
     import(workerData.module).then(async ({ openCacheReader }) => {
       const reader = openCacheReader(workerData.file, workerData.version, { rowsMax: 10, bytesMax: 1e6 });
       const keys = [{ dataset: 'dialcode', key: 'V4M5I6' }];
       parentPort.postMessage(await reader.get(keys));
       parentPort.once('message', async () => { parentPort.postMessage(await reader.get(keys)); reader.close(); });
     });`,
    { eval: true, workerData: { module, file, version: owner.version } },
  );
  atEnd(t, () => worker.terminate());
  const answer = () => new Promise(resolve => worker.once('message', resolve));
  assert.deepEqual(await answer(), [{ batchcode: 'x' }]);
  await owner.put('dialcode', [{ key: 'V4M5I6', value: { batchcode: 'y' } }]);
  worker.postMessage('again');
  assert.deepEqual(await answer(), [{ batchcode: 'y' }]);
});

test('the memory keeps within both limits and keeps what was used last', () => {
  const steps = fc.array(fc.record({ key: fc.nat(20), sizeBytes: fc.nat(60), isFind: fc.boolean() }));
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 200 }),
      (list, rowsMax, bytesMax) => {
        const memory = new RowMemory({ rowsMax, bytesMax });
        let model: { key: string; sizeBytes: number }[] = [];
        for (const { key: n, sizeBytes, isFind } of list) {
          const key = `k${n}`;
          const at = model.find(entry => entry.key === key);
          if (isFind) {
            assert.equal(memory.find(key)?.sizeBytes, at?.sizeBytes);
            if (at !== undefined) model = [...model.filter(entry => entry !== at), at];
          } else {
            memory.keep(key, { row: undefined, sizeBytes });
            if (at === undefined) model.push({ key, sizeBytes });
            const size = () => model.reduce((sum, entry) => sum + entry.sizeBytes, 0);
            while (model.length > rowsMax || size() > bytesMax) model.shift();
          }
        }
        for (const { key } of model) assert.notEqual(memory.find(key), undefined);
        for (let n = 0; n <= 20; n++) {
          if (!model.some(entry => entry.key === `k${n}`)) assert.equal(memory.find(`k${n}`), undefined);
        }
      },
    ),
  );
});
