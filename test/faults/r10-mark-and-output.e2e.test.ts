import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertConserved,
  batchOf,
  midsOf,
  post,
  postUntilAcknowledged,
  startMillrace,
  validEvent,
} from './pipeline.ts';

/** Steps of the one commit that carries marks, outputs and offsets of the chain. */
const COMMIT_STEPS = ['log.beforeWrite', 'log.tornWrite', 'log.afterWrite', 'log.afterSync'];

test('R10 a crash between a mark and its output passes the event once', async context => {
  const millrace = await startMillrace(context);
  const sent: string[] = [];
  for (const [i, step] of COMMIT_STEPS.entries()) {
    await millrace.kill();
    // The first passes of a run are the starts of the threads; the batch and the chain's commit follow.
    await millrace.up([`debug.failpoint=${step}:${6 + i}`]);
    const died = once(millrace.server, 'exit');
    for (let n = 0; n < 20 && millrace.server.signalCode === null; n++) {
      const mid = `r10-${step}-${n}`;
      const reply = await post(millrace, batchOf(mid, [validEvent(mid)])).catch(() => undefined);
      if (reply?.status !== 200) break;
      sent.push(mid);
      await sleep(20);
    }
    await died;
    assert.equal(millrace.server.signalCode, 'SIGKILL', step);
    await millrace.up();
    // The same again, as a client does that has not heard: the marks must know what is out, and nothing else.
    const last = sent.slice(-3);
    for (const mid of last) await postUntilAcknowledged(millrace, batchOf(mid, [validEvent(mid)]));
    for (const mid of last) await postUntilAcknowledged(millrace, batchOf(`${mid} again`, [validEvent(mid)]));
  }
  assertConserved(await millrace.idle());
  const good = await midsOf(millrace, 'druid.events.telemetry');
  assert.deepEqual([...new Set(good)].sort(), [...good].sort(), 'no event passes twice');
  for (const mid of sent) assert.ok(good.includes(mid), `${mid} passed`);
  assert.ok(sent.length >= COMMIT_STEPS.length, `${sent.length} events acknowledged`);
});
