import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArchiveVerifyDocument, StatusDocument } from '../../src/core/documents.ts';
import { Millrace } from '../e2e/millrace.ts';
import { batchOf, midsOf, post, postUntilAcknowledged, until, validEvent } from './pipeline.ts';

const BATCHES = 30;
/** A start that hangs is told from one on a busy machine. */
const START_MS = 60_000;

/** A kind of file of a data directory, and what may become of a start on it. */
interface Kind {
  readonly name: string;
  /** Below the environment's folder (`..` leads to the root); the first that matches is damaged. */
  readonly folder: string;
  readonly file: RegExp;
  /** `serves`: as if nothing were; `reports`: serves and names what is lost; `refuses`: a named error. */
  readonly ends: 'serves' | 'reports' | 'refuses' | 'either';
}

const KINDS: readonly Kind[] = [
  { name: 'journal segment', folder: 'log/journal', file: /./, ends: 'reports' },
  { name: 'checkpoint', folder: 'log', file: /^checkpoint$/, ends: 'serves' },
  { name: 'seeds', folder: 'state', file: /^seeds$/, ends: 'serves' },
  { name: 'snapshot manifest', folder: 'state', file: /^manifest/, ends: 'serves' },
  { name: 'snapshot table', folder: 'state', file: /^marks/, ends: 'serves' },
  { name: 'tables', folder: '', file: /^tables\.sqlite$/, ends: 'either' },
  { name: 'master data', folder: '', file: /^cache\.sqlite$/, ends: 'either' },
  { name: 'archive object', folder: 'archive/druid.events.telemetry', file: /\.zst$/, ends: 'serves' },
  { name: 'token', folder: '', file: /^token$/, ends: 'serves' },
  { name: 'format', folder: '..', file: /^format\.json$/, ends: 'refuses' },
  { name: 'owner', folder: '', file: /^owner\.lock$/, ends: 'either' },
];

describe('R06 bit flips', () => {
  let millrace: Millrace;
  let whole: string;
  const mids = Array.from({ length: BATCHES }, (_, i) => `r06-${i}`);

  before(async () => {
    millrace = await Millrace.create();
    whole = `${millrace.data}-whole`;
    await millrace.up();
    for (const mid of mids) await postUntilAcknowledged(millrace, batchOf(mid, [validEvent(mid)]));
    await millrace.idle();
    assert.equal((await millrace.run(['archive', 'flush'])).code, 0);
    assert.equal(await millrace.stop(), 0);
    cpSync(millrace.data, whole, { recursive: true });
  });
  afterEach(() => millrace.kill());
  after(async () => {
    await millrace.remove();
    rmSync(whole, { recursive: true, force: true });
  });

  for (const kind of KINDS) {
    it(`in the ${kind.name}`, async () => {
      rmSync(millrace.data, { recursive: true });
      cpSync(whole, millrace.data, { recursive: true });
      const damaged = damage(join(millrace.data, 'local', kind.folder), kind.file);
      const refusal = await start(millrace);
      if (refusal !== null) {
        assert.ok(kind.ends === 'refuses' || kind.ends === 'either', `${damaged}: ${refusal}`);
        assert.match(refusal, /\n {2}why: .+\n {2}try: /, 'named, with what to do');
        assert.doesNotMatch(refusal, /\n +at /, 'no stack');
        return;
      }
      assert.notEqual(kind.ends, 'refuses', damaged);
      await assertServes(millrace, mids, kind);
    });
  }

  it('in the token, so that it can be sent no more: another one is drawn', async () => {
    rmSync(millrace.data, { recursive: true });
    cpSync(whole, millrace.data, { recursive: true });
    const file = join(millrace.data, 'local/token');
    writeFileSync(file, `a,%${readFileSync(file, 'utf8')}`);
    await millrace.up();
    assert.match(readFileSync(file, 'utf8'), /^[\w-]{32}\n$/);
    assert.equal((await millrace.run(['status'])).code, 0);
  });

  it('in serving.json, of a process that runs', async () => {
    rmSync(millrace.data, { recursive: true });
    cpSync(whole, millrace.data, { recursive: true });
    await millrace.up();
    const file = join(millrace.data, 'local/serving.json');
    const text = readFileSync(file, 'utf8');
    damage(join(millrace.data, 'local'), /^serving\.json$/);
    // A space in place of the port's last digit is one of the flips that leave an address behind.
    for (const damaged of [readFileSync(file, 'utf8'), text.replace(/\d",/, ' ",')]) {
      writeFileSync(file, damaged);
      const asked = await millrace.run(['status']);
      assert.notEqual(asked.code, 0, damaged);
      assert.match(asked.stderr, /\n {2}why: .+\n {2}try: /);
      assert.doesNotMatch(asked.stderr, /\n +at /, asked.stderr);
    }
    writeFileSync(file, text);
    assert.equal((await millrace.run(['status'])).code, 0);
  });
});

/** Flips bits in the middle of the first file that matches; answers its path. */
function damage(folder: string, name: RegExp): string {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(path =>
    name.test(path.split('/').at(-1)!),
  );
  const path = join(folder, found.sort()[0] ?? assert.fail(`${folder} holds no ${name}`));
  const bytes = readFileSync(path);
  for (let at = Math.floor(bytes.length * 0.4); at < bytes.length * 0.6; at += 37) bytes[at]! ^= 0x15;
  writeFileSync(path, bytes);
  return path;
}

/** Brings it up; answers null where it serves, else what it said. */
async function start(millrace: Millrace): Promise<string | null> {
  const up = millrace.up();
  const isLate = await Promise.race([up.catch(() => false), sleep(START_MS).then(() => true)]);
  if (isLate === true) {
    const status = await (await millrace.fetch('/v1/status')).text();
    await millrace.kill();
    await up.catch(() => {});
    assert.fail(`neither serves nor refuses within ${START_MS} ms: ${status}`);
  }
  if (millrace.server.exitCode === null) return null;
  assert.ok(millrace.server.exitCode === 1 || millrace.server.exitCode === 2, millrace.stderr);
  return millrace.stderr;
}

/** What is intact is still there, what is not is named, and a fresh event passes. */
async function assertServes(millrace: Millrace, mids: readonly string[], kind: Kind): Promise<void> {
  const before = (await (await millrace.fetch('/v1/status')).json()) as StatusDocument;
  const kept = await midsOf(millrace, 'druid.events.telemetry');
  const lost = mids.filter(mid => !kept.includes(mid));
  const status = (await (await millrace.fetch('/v1/status')).json()) as StatusDocument;
  if (kind.ends === 'reports') {
    assert.ok(lost.length > 0 && lost.length < mids.length, `${lost.length} lost`);
    const ranges = status.quarantined.filter(({ topic }) => topic === 'local.druid.events.telemetry');
    const offsets = ranges.reduce((sum, { fromOffset, toOffset }) => sum + toOffset - fromOffset, 0);
    assert.equal(offsets, lost.length, 'every lost offset is named, and no other');
  } else {
    assert.deepEqual([lost, status.quarantined], [[], before.quarantined]);
  }
  const mid = `after-${kind.name}`;
  assert.equal((await post(millrace, batchOf(mid, [validEvent(mid)]))).status, 200);
  await until('a fresh event passes', async () =>
    (await midsOf(millrace, 'druid.events.telemetry')).includes(mid),
  );
  const flushed = await millrace.run(['archive', 'flush']);
  const verdict = await millrace.json<ArchiveVerifyDocument>(['archive', 'verify']);
  const damagedObjects = verdict.topics.flatMap(({ partitions }) =>
    partitions.flatMap(({ damaged }) => damaged),
  );
  assert.equal(damagedObjects.length, kind.name === 'archive object' ? 1 : 0, JSON.stringify(damagedObjects));
  assert.equal(flushed.code, 0, flushed.stderr);
}
