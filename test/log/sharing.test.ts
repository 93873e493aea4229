import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { EmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import { connectLog } from '../../src/adapters/log/remote-log.ts';
import { openLog, readAll, recordOf, temporaryDirectory, textOf } from './open-log.ts';

const alpha = (text: string) => ({ appends: [{ topic: 'alpha', partition: 0, records: [recordOf(text)] }] });

async function startCopier(log: EmbeddedLog): Promise<Worker> {
  const shared = log.share();
  const worker = new Worker(new URL('sharing-worker.ts', import.meta.url), {
    workerData: shared,
    transferList: [shared.port as never],
  });
  await once(worker, 'message');
  return worker;
}

async function until(claim: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!claim()) {
    assert.ok(performance.now() < deadlineMs);
    await delay(10);
  }
}

test('a thread wakes the owner and is woken by it; its successor goes on where it was', async context => {
  const log = await openLog(context, temporaryDirectory(context));
  const consumer = await log.consume('sink', ['beta']);
  const first = await startCopier(log);
  await log.commit(alpha('a'));
  const records = await consumer.poll({ recordsMax: 1, bytesMax: 1e6, waitMsMax: 10_000 });
  assert.deepEqual(records.map(textOf), ['copy of a']);
  assert.equal(log.isIdle(), false, 'the sink has not come back');
  await consumer.poll({ recordsMax: 1, bytesMax: 1e6, waitMsMax: 0 });
  await until(() => log.isIdle());

  const writing = Array.from({ length: 500 }, (_, index) => log.commit(alpha(`${index}`)));
  await first.terminate();
  await Promise.all(writing);
  assert.equal(log.isIdle(), false, 'a group without a consumer is behind by its offsets');
  const second = await startCopier(log);
  const copies: string[] = [];
  while (copies.length < 500) {
    const page = await consumer.poll({ recordsMax: 1000, bytesMax: 1e6, waitMsMax: 10_000 });
    assert.ok(page.length > 0, `${copies.length} copies came`);
    copies.push(...page.map(textOf));
  }
  assert.deepEqual(
    copies,
    Array.from({ length: 500 }, (_, index) => `copy of ${index}`),
  );
  await consumer.poll({ recordsMax: 1, bytesMax: 1e6, waitMsMax: 0 });
  await until(() => log.isIdle());
  await second.terminate();
});

test('damage that another thread meets is reported by the owner', async context => {
  const directory = temporaryDirectory(context);
  const log = await openLog(context, directory);
  for (const text of ['one', 'two', 'three']) await log.commit(alpha(text));
  const [segment] = readdirSync(join(directory, 'journal'));
  const path = join(directory, 'journal', segment!);
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('two', bytes.indexOf('key of two') + 10)]! ^= 1;
  writeFileSync(path, bytes);
  const remote = connectLog(log.share());
  assert.deepEqual((await readAll(remote, 'alpha', 0)).map(textOf), ['one', 'three']);
  const range = { topic: 'alpha', partition: 0, fromOffset: 1, toOffset: 2 };
  assert.deepEqual((await remote.describe()).quarantined, [range]);
  await remote.close();
});

test('when the owner closes, the others are told', async context => {
  const log = await openLog(context, temporaryDirectory(context));
  const remote = connectLog(log.share());
  const consumer = await remote.consume('group', ['alpha']);
  const waiting = consumer.poll({ recordsMax: 1, bytesMax: 1, waitMsMax: 20_000 });
  await log.close();
  assert.deepEqual(await waiting, []);
  await assert.rejects(remote.commit(alpha('late')), { code: 'ERR_LOG_CLOSED' });
  await assert.rejects(consumer.poll({ recordsMax: 1, bytesMax: 1, waitMsMax: 0 }), {
    code: 'ERR_LOG_CLOSED',
  });
});
