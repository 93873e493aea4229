import { parentPort, workerData } from 'node:worker_threads';
import type { SharedLog } from '../../src/adapters/log/log-contract.ts';
import { connectLog } from '../../src/adapters/log/remote-log.ts';
import { CONTRACT, JOURNALED_CONTRACT, OWN_TOPICS } from './contract.ts';

// Runs one point of the contract on the log of another thread; says nothing, or how it failed.
const { name, shared } = workerData as { readonly name: string; readonly shared: SharedLog };
const log = connectLog(shared);
try {
  await { ...CONTRACT, ...JOURNALED_CONTRACT }[name]!(log, OWN_TOPICS);
  parentPort!.postMessage(null);
} catch (error) {
  parentPort!.postMessage(error instanceof Error ? error.stack : String(error));
}
await log.close();
