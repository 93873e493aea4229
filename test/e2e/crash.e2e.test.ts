import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Load, startLoad } from './load.ts';
import { Millrace } from './millrace.ts';
import { assertNothingLostOrDoubled } from './oracle.ts';

/** MILLRACE_TEST_KILLS=50 is the long run; MILLRACE_TEST_SEED repeats one. */
const KILLS = Number(process.env['MILLRACE_TEST_KILLS'] ?? 6);
const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);

const DEATH_MS_MAX = 60_000;

/** Every named place before and after a durable step that a running pipeline passes. */
const FAILPOINTS = [
  'log.beforeWrite:200',
  'log.tornWrite:200',
  'log.afterWrite:200',
  'log.afterSync:200',
  'log.beforeCheckpoint:1',
  'log.afterCheckpointWrite:1',
  'log.afterCheckpointRename:1',
  'log.afterSegmentCreate:1',
  'archive.beforeIntent:3',
  'archive.afterIntent:3',
  'archive.beforeUpload:3',
  'archive.afterUpload:3',
  'archive.afterRows:3',
  'archive.afterCommit:3',
  'objects.afterTemp:3',
  'objects.afterLink:3',
  'tables.beforeTransaction:5',
  'tables.afterTransaction:5',
  'tables.afterCommit:5',
];

// Small segments and objects, so that closing, checkpoints and archiving happen within seconds.
const SETS = ['log.segmentBytes=1048576', 'archive.objectBytes=200000', 'archive.openMsMax=1000'];

const REPEAT = `repeat with MILLRACE_TEST_SEED=${SEED} MILLRACE_TEST_KILLS=${KILLS}`;

describe(`kill -9 under load (seed ${SEED}, ${REPEAT})`, () => {
  let millrace: Millrace;
  let load: Load | undefined;
  before(async () => {
    millrace = await Millrace.create(SETS);
  });
  after(async () => {
    load?.abandon();
    await millrace?.remove();
  });

  it(`loses and doubles nothing over ${KILLS} kills at random moments`, async () => {
    const random = createRandom(SEED);
    await millrace.up();
    load = startLoad(millrace, SEED);
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(100 + random() * 1400);
      await millrace.kill();
      await millrace.up();
    }
    await sleep(300);
    const report = await load.stop();
    assert.ok(report.valid.size > 100 * Math.min(KILLS, 10), `${report.valid.size} events acknowledged`);
    assert.ok(report.resends > 0, 'the kills were felt');
    await assertNothingLostOrDoubled(millrace, report);
    assert.equal(await millrace.stop(), 0);
  });
});

describe(`kill -9 at each durable step (seed ${SEED})`, () => {
  let millrace: Millrace;
  let load: Load | undefined;
  before(async () => {
    millrace = await Millrace.create(SETS);
  });
  after(async () => {
    load?.abandon();
    await millrace?.remove();
  });

  it(`loses and doubles nothing over ${FAILPOINTS.length} failpoints`, async () => {
    await millrace.up();
    load = startLoad(millrace, SEED + 1);
    for (const failpoint of FAILPOINTS) {
      await millrace.kill();
      const server = millrace.start([`debug.failpoint=${failpoint}`]);
      const died = await Promise.race([
        once(server, 'exit').then(() => true),
        sleep(DEATH_MS_MAX, false, { ref: false }),
      ]);
      assert.ok(died, `the run passed ${failpoint}`);
      assert.equal(server.signalCode, 'SIGKILL', `${failpoint}: ${millrace.stderr}`);
      await millrace.up();
    }
    const report = await load.stop();
    assert.ok(report.valid.size > 500, `${report.valid.size} events acknowledged`);
    await assertNothingLostOrDoubled(millrace, report);
  });
});
