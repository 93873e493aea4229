import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadNativeClient, type NativeProducer } from '../../src/adapters/log/kafka/native-client.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { ServedLog } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import {
  brokerPid,
  CLIENT_PATH,
  createTopics,
  freshEnvironment,
  openTestLog,
  POLL,
  pollAtLeast,
  restartBroker,
  SKIP,
} from './kafka-fixture.ts';
import { readSoon, recordOf, textOf } from './open-log.ts';

export const FENCED = { code: 'ERR_LOG_FENCED' };
export const RECORDS = 20;
export const WAIT_MS_MAX = 60_000;
/** The call of the client that is waylaid: all producers of the process share it. */
const prototype =
  SKIP === false ? (loadNativeClient(CLIENT_PATH).Producer.prototype as NativeProducer) : null;
const commitTransaction = prototype?.commitTransaction;

/** Has something happen as the next commit is asked for, before the client hears of it. */
export function onNextCommit(act: () => void): void {
  prototype!.commitTransaction = function (this: NativeProducer, timeoutMs, callback) {
    prototype!.commitTransaction = commitTransaction!;
    act();
    commitTransaction!.call(this, timeoutMs, callback);
  };
}

/** Takes back what was to happen at a commit that never came. */
export function forgetNextCommit(): void {
  if (prototype !== null) prototype.commitTransaction = commitTransaction!;
}

/** Commits copies of the records, their offset and a count of them. */
export function copy(log: ServedLog, environment: string, records: readonly LogRecord[]) {
  const { topic, partition, offset } = records.at(-1)!;
  const copies = records.map(record => recordOf(textOf(record)));
  return log.commit({
    appends: [{ topic: fullTopic(environment, 'beta'), partition: 0, records: copies }],
    offsets: [{ group: 'g', topic, partition, offset: offset + 1 }],
    counters: { 'copy.received': records.length },
  });
}

/** Brokers are killed as a commit of copies is asked for, and started again: each record is copied once then. */
export async function killAsCommitIsAsked(test: TestContext, nodes: readonly number[]): Promise<void> {
  const { environment, alpha, log, open } = await filled(test);
  const records = await pollAtLeast(await log.consume('g', [alpha]), RECORDS, WAIT_MS_MAX);
  const pids = await Promise.all(nodes.map(brokerPid));
  onNextCommit(() => {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
  });
  const committed = copy(log, environment, records);
  // The client goes on with a broker that has come back in time, so either end is right; the copies tell.
  await Promise.all([
    restartBroker(...nodes),
    committed.catch(error => assert.equal(error.code, FENCED.code)),
  ]);
  await log.close();
  await assertCopiedOnce({ environment, alpha }, await onceInSync(open));
}

/** Opens a log as soon as each partition has its copies again: none of those that were killed was in sync. */
async function onceInSync(open: () => Promise<ServedLog>): Promise<ServedLog> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  // Ends with a log, another error, or at the deadline.
  while (true) {
    try {
      return await open();
    } catch (error) {
      const isEarly = error instanceof MillraceError && error.code === 'ERR_REPLICAS_TOO_FEW';
      if (!isEarly || performance.now() > deadlineMs) throw error;
      await sleep(50);
    }
  }
}

/** An environment with a log, and numbered records in the one partition of `alpha`. */
export async function filled(test: TestContext) {
  const environment = freshEnvironment();
  await createTopics(environment, { alpha: 1, beta: 1 });
  const alpha = fullTopic(environment, 'alpha');
  const open = () => openTestLog(test, environment, { plainTopics: [alpha] });
  const log = await open();
  const records = Array.from({ length: RECORDS }, (_, i) => recordOf(`${i}`));
  await log.commit({ appends: [{ topic: alpha, partition: 0, records }] });
  return { environment, alpha, log, open };
}

/** A successor does what is left; then each record must have been copied and counted once. */
export async function assertCopiedOnce(
  { environment, alpha }: { readonly environment: string; readonly alpha: string },
  successor: ServedLog,
): Promise<void> {
  const consumer = await successor.consume('g', [alpha]);
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  // Once: it is caught up where nothing more comes.
  while (!consumer.isCaughtUp()) {
    assert.ok(performance.now() < deadlineMs, 'the successor catches up');
    const records = await consumer.poll(POLL);
    if (records.length > 0) await copy(successor, environment, records);
  }
  await consumer.close();
  const wanted = Array.from({ length: RECORDS }, (_, i) => `${i}`);
  const copies = await readSoon(successor, fullTopic(environment, 'beta'), 0, RECORDS);
  assert.deepEqual(copies.map(textOf), wanted);
  const { counters, offsets } = await successor.describe();
  assert.equal(counters['copy.received'], RECORDS);
  assert.deepEqual(
    offsets.map(({ offset, passed }) => ({ offset, passed })),
    [{ offset: RECORDS, passed: RECORDS }],
  );
}
