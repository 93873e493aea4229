import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryHost } from '../../src/adapters/host/memory-host.ts';
import { composeHost } from '../../src/cli/compose-servers.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { fillCached } from '../../src/operations/provision/fill-cached.ts';
import { untilAnswered } from '../../src/operations/provision/ready.ts';

const FOLDER = '/srv/cache/jars/kafka';

test('a run that is cancelled while a server starts says so, and nothing else', async () => {
  const stopping = new AbortController();
  const wait = { processes: [], deadlineMs: 60_000, signal: stopping.signal };
  const asked = async () => {
    stopping.abort();
    throw new MillraceError('ERR_NOT_READY', 'not yet');
  };
  await assert.rejects(untilAnswered(new MemoryHost(), wait, asked), { code: 'ERR_RUN_CANCELLED' });
});

test('a cache that cannot be written is refused before anything is fetched, with what leads to it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-cache-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'file'), '');
  const step = { host: composeHost(folder), signal: new AbortController().signal, progress: () => {} };
  const filled = fillCached(step, join(folder, 'file/jars/kafka'), async () =>
    assert.fail('nothing is fetched'),
  );
  await assert.rejects(filled, { code: 'ERR_PATH_REFUSED', remedy: /XDG_CACHE_HOME/ });
});

test('a run that waits for the cache says for what, and can be cancelled', async () => {
  const host = new MemoryHost();
  const gate = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const told: string[] = [];
  const stepOf = (signal: AbortSignal) => ({
    host,
    signal,
    progress: (line: string) => void told.push(line),
  });
  const first = fillCached(stepOf(new AbortController().signal), FOLDER, () => gate.promise);
  const second = fillCached(stepOf(stopping.signal), FOLDER, async () => assert.fail('it has no turn'));
  stopping.abort();
  await assert.rejects(second, { code: 'ERR_RUN_CANCELLED' });
  assert.deepEqual(told, [`waiting for another run, which fills ${FOLDER}`]);
  gate.resolve();
  await first;
});
