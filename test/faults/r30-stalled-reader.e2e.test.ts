import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TopicsDocument } from '../../src/core/documents.ts';
import { batchOf, post, startMillrace, statusOf, until, validEvent } from './pipeline.ts';

test('R30 a reader that stands still is named with its place, unasked, until it goes on', async context => {
  const millrace = await startMillrace(context, ['observability.stallMs=1000', 'archive.openMsMax=1000']);
  const reader = async () =>
    (await statusOf(millrace)).components.find(({ name }) => name === 'reader.archive');
  await post(millrace, batchOf('r30-before', [validEvent('r30-before')]));
  await until('what came before is archived', async () => {
    const { topics } = (await (await millrace.fetch('/v1/topics')).json()) as TopicsDocument;
    return topics.every(({ groups }) => groups.every(({ lag }) => lag === 0));
  });
  assert.equal(await reader(), undefined);

  // Where objects are written first there is a file now: every one of them fails, and is tried again.
  const incoming = join(millrace.data, 'local/archive/.incoming');
  rmSync(incoming, { recursive: true });
  writeFileSync(incoming, '');
  await post(millrace, batchOf('r30-stuck', [validEvent('r30-stuck')]));
  // Nobody asks: the process itself says so in its log.
  await until('the log says so', async () =>
    /"reader":"reader.archive".*"msg":"stalled"/.test(millrace.stderr),
  );
  const stalled = await reader();
  assert.equal(stalled?.state, 'failed');
  assert.match(
    stalled.detail,
    /^stands still at offset 1 of telemetry.ingest partition \d for \d+ s; \d+ records wait$/,
  );
  const health = await millrace.fetch('/health');
  assert.equal(health.status, 503);
  assert.match(await health.text(), /failed: reader.archive/);

  rmSync(incoming);
  await mkdir(incoming);
  await until('it goes on', async () => (await reader()) === undefined);
  await until('the log says so, too', async () => /"msg":"goes on"/.test(millrace.stderr));
  assert.equal((await millrace.fetch('/health')).status, 200);
});
