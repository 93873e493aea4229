import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import type { LogState } from '../../src/core/ports.ts';
import { isQuarantined } from './journal-oracle.ts';
import { logOptions, partitionOf, readAll, temporaryDirectory, textOf } from './open-log.ts';

/** Acknowledged texts of alpha by `partition:offset`. */
type Acknowledged = Map<string, string>;

/** Commits that a run acknowledges at least before it is killed: on a slow disk it may take more than its while. */
const COMMITS_MIN = 120;

/** Runs the committer until it dies at its failpoint, or until it is killed after a while. */
async function runUntilKilled(
  directory: string,
  options: {
    readonly run: string;
    readonly failpoint: string;
    readonly afterMs: number;
    readonly acknowledged: Acknowledged;
  },
): Promise<void> {
  const script = join(import.meta.dirname, 'committer.ts');
  const child = spawn(process.execPath, [script, directory, options.run, options.failpoint], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  let isDue = false;
  let commits = 0;
  const killWhereDue = () => {
    if (isDue && commits >= COMMITS_MIN) child.kill('SIGKILL');
  };
  lines.on('line', line => {
    if (line === 'open') {
      if (options.failpoint !== '') return;
      setTimeout(() => {
        isDue = true;
        killWhereDue();
      }, options.afterMs);
      return;
    }
    // A line may be cut by the kill; what was not said whole was not acknowledged.
    if (!line.endsWith('}')) return;
    commits += 1;
    killWhereDue();
    const { partition, baseOffset, texts } = JSON.parse(line) as {
      readonly partition: number;
      readonly baseOffset: number;
      readonly texts: readonly string[];
    };
    for (const [index, text] of texts.entries()) {
      const key = `${partition}:${baseOffset + index}`;
      assert.ok(!options.acknowledged.has(key), `${key} was given out twice`);
      options.acknowledged.set(key, text);
    }
  });
  const drained = once(lines, 'close');
  const [, signal] = await Promise.race([exited, delay(60_000, [null, 'never died'], { ref: false })]);
  child.kill('SIGKILL');
  assert.equal(signal, 'SIGKILL', `failpoint ${options.failpoint} was reached`);
  await drained;
}

/** Everything acknowledged is there once, copies and offsets agree, retention took nothing unread. */
async function checkKilled(directory: string, acknowledged: Acknowledged): Promise<LogState> {
  const log = await openEmbeddedLog(logOptions(directory, { retentionBytes: 200_000 }));
  const state = await log.describe();
  const alpha = [...(await readAll(log, 'alpha', 0)), ...(await readAll(log, 'alpha', 1))];
  const found = new Map(alpha.map(record => [`${record.partition}:${record.offset}`, textOf(record)]));
  assert.equal(found.size, alpha.length);
  assert.equal(new Set(found.values()).size, alpha.length, 'no record twice');
  const committed = (group: string, topic: string, partition: number) =>
    state.offsets.find(row => row.group === group && row.topic === topic && row.partition === partition)
      ?.offset ?? 0;
  for (const [key, text] of acknowledged) {
    const [partition = 0, offset = 0] = key.split(':').map(Number);
    if (offset >= partitionOf(state, 'alpha', partition).startOffset) assert.equal(found.get(key), text, key);
  }
  for (const partition of [0, 1]) {
    const { startOffset, endOffset } = partitionOf(state, 'alpha', partition);
    assert.ok(
      startOffset <= committed('copy', 'alpha', partition),
      'retention took nothing that copy had not read',
    );
    for (let offset = startOffset; offset < endOffset; offset++) {
      const isReported = isQuarantined(state, { topic: 'alpha', partition }, offset);
      assert.equal(found.has(`${partition}:${offset}`), !isReported, `${partition}:${offset}`);
    }
  }
  await checkCopies(state, { log, found, committed });
  await log.close();
  return state;
}

async function checkCopies(
  state: LogState,
  seen: {
    readonly log: Awaited<ReturnType<typeof openEmbeddedLog>>;
    readonly found: ReadonlyMap<string, string>;
    committed(group: string, topic: string, partition: number): number;
  },
): Promise<void> {
  const copies = await readAll(seen.log, 'beta', 0);
  const sources = copies.map(record => textOf(record).split(' ', 1)[0]!);
  assert.equal(new Set(sources).size, sources.length, 'no record is copied twice');
  for (const source of sources) {
    const [partition = 0, offset = 0] = source.split(':').map(Number);
    assert.ok(
      offset < seen.committed('copy', 'alpha', partition),
      'a copy and its offset are durable together',
    );
  }
  const beta = partitionOf(state, 'beta', 0);
  if (beta.startOffset === 0) {
    const done = [...seen.found.keys()].filter(key => {
      const [partition = 0, offset = 0] = key.split(':').map(Number);
      return offset < seen.committed('copy', 'alpha', partition);
    });
    assert.ok(
      done.every(key => sources.includes(key)),
      'what is committed is copied',
    );
  }
  assert.ok(beta.startOffset <= seen.committed('sink', 'beta', 0));
  const records = [0, 1].reduce((sum, partition) => sum + partitionOf(state, 'alpha', partition).records, 0);
  assert.equal(state.counters['alpha.records'], records, 'counters are durable with their records');
  assert.equal(state.counters['beta.records'], beta.records);
}

test('kill -9 at every durable step and at random loses and repeats nothing', async context => {
  const directory = temporaryDirectory(context);
  const acknowledged: Acknowledged = new Map();
  const failpoints = [
    'log.beforeWrite:40',
    'log.afterWrite:40',
    'log.afterSync:40',
    'log.tornWrite:40',
    'log.afterSegmentCreate:2',
    'log.beforeCheckpoint:1',
    'log.afterCheckpointWrite:2',
    'log.afterCheckpointRename:1',
    'log.beforeUnlink:2',
    'log.afterUnlink:2',
  ];
  const rounds = failpoints.map(failpoint => ({ failpoint, afterMs: 0 }));
  for (let round = 0; round < 12; round++)
    rounds.push({ failpoint: '', afterMs: 50 + ((round * 7919) % 500) });
  let quarantined = 0;
  for (const [index, { failpoint, afterMs }] of rounds.entries()) {
    const before = acknowledged.size;
    const reported = quarantined;
    await runUntilKilled(directory, { run: `${index}`, failpoint, afterMs, acknowledged });
    const state = await checkKilled(directory, acknowledged);
    quarantined = state.quarantined.length;
    // Only a frame that was cut leaves something to report; it was never acknowledged.
    if (failpoint !== '' && !failpoint.startsWith('log.tornWrite'))
      assert.equal(quarantined, reported, failpoint);
    const what = failpoint || `after ${afterMs} ms`;
    context.diagnostic(`${what}: ${acknowledged.size - before} acknowledged, ${quarantined} quarantined`);
  }
  assert.ok(acknowledged.size > 5000, 'enough was acknowledged to mean something');
});
