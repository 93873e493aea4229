import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SchemasPublishedDocument } from '../../src/core/schema-documents.ts';
import { startLoad } from '../e2e/load.ts';
import { assertNothingLostOrDoubled } from '../e2e/oracle.ts';
import { NoteBook, noteSchema, post, schemasOf, serve, testPublishing } from './publish-run.ts';

const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);

describe(`schemas published to a running environment (seed ${SEED}, repeat with MILLRACE_TEST_SEED)`, () => {
  testPublishing({
    environment: 'local',
    sets: [],
    workers: 1,
    seed: SEED,
    publishes: 10,
    batchEvents: 100,
    perSecondMin: 1000,
  });

  for (const [failpoint, version] of [
    ['schemas.beforeRecord', null],
    ['schemas.afterRecord', 1],
  ] as const) {
    const which = version === null ? 'before' : 'after';
    it(`killed at ${failpoint} under load, it starts with the set of ${which}`, async t => {
      const millrace = await serve(t, [`debug.failpoint=${failpoint}`]);
      const load = startLoad(millrace, SEED + 1);
      t.after(() => load.abandon());
      const before = await schemasOf(millrace);
      await post(millrace, '/v1/schemas', { schema: noteSchema(1) });
      const ended = once(millrace.server, 'exit');
      await assert.rejects(post(millrace, '/v1/schemas/publish', {}), 'the process died in it');
      assert.deepEqual(await ended, [null, 'SIGKILL']);
      await millrace.up(['debug.failpoint=']);
      const after = await schemasOf(millrace);
      assert.equal(after.digest === before.digest, version === null, failpoint);
      assert.ok(after.workers.length > 0);
      for (const worker of after.workers) assert.equal(worker.digest, after.digest);
      // What was added is still there: publishing again ends where it was meant to.
      const again = await post<SchemasPublishedDocument>(millrace, '/v1/schemas/publish', {});
      assert.equal(again.changed, version === null);
      for (const worker of again.workers) assert.equal(worker.digest, again.digest);
      const notes = new NoteBook(millrace);
      await notes.assertJudgedBy(1);
      await assertNothingLostOrDoubled(millrace, notes.and(await load.stop()));
    });
  }

  it('refuses a broken schema with the place, an incompatible one with the field, and changes nothing', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-schemas-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const millrace = await serve(t, []);
    await post(millrace, '/v1/schemas', { schema: noteSchema(1) });
    const { digest } = await post<SchemasPublishedDocument>(millrace, '/v1/schemas/publish', {});
    const add = async (name: string, text: string) => {
      const file = join(folder, name);
      writeFileSync(file, text);
      return millrace.run(['schemas', 'add', file]);
    };
    const text = JSON.stringify(noteSchema(1));
    const broken = await add('broken.json', text.replace('"enum":["v1"]', '"enum":"v1"'));
    assert.notEqual(broken.code, 0);
    assert.match(broken.stderr, /\/allOf\/1\/properties\/edata\/properties\/text\/enum/);
    const cut = await add('cut.json', text.slice(0, -9));
    assert.notEqual(cut.code, 0);
    assert.match(cut.stderr, /cut\.json/);
    const narrower = await add('narrower.json', text.replace('["v1"]', '["other"]'));
    assert.notEqual(narrower.code, 0);
    assert.match(narrower.stderr, /NOTE: \/edata\/text no longer takes v1/);
    assert.doesNotMatch(narrower.stderr, /\n\s+at /, 'an operator’s mistake shows no stack');
    const after = await schemasOf(millrace);
    assert.equal(after.digest, digest);
    assert.equal(
      after.schemas.some(({ state }) => state === 'draft'),
      false,
    );
  });
});
