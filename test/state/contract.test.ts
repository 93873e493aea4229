import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedState } from '../../src/adapters/state/embedded-state.ts';
import { createMemoryState } from '../../src/adapters/state/memory-state.ts';
import { TTL_MS, testState } from './contract.ts';

testState('memory', async () => createMemoryState(TTL_MS));

testState('embedded', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-state-'));
  const state = await openEmbeddedState({
    directory,
    ttlMs: TTL_MS,
    marksFrom: async function* () {},
    keepFrom: () => {},
    warn: () => {},
  });
  t.after(async () => {
    await state.close();
    await rm(directory, { recursive: true });
  });
  return state;
});
