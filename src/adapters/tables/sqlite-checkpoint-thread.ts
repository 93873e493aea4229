// The thread that takes the pages of a write-ahead log into the database's file: see sqlite-checkpoints.ts.
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { CheckpointAnswer } from './sqlite-checkpoints.ts';

const port = parentPort!;
const database = new DatabaseSync(workerData as string, { timeout: 5_000 });
// Pages pass through memory of their own, not through the cache.
database.exec('PRAGMA synchronous = FULL; PRAGMA cache_size = 0');
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');

port.on('message', (request: 'checkpoint' | 'close') => {
  if (request === 'checkpoint') return port.postMessage(run());
  database.close();
  port.close();
});

function run(): CheckpointAnswer {
  try {
    checkpoint.get();
    return null;
  } catch (error) {
    const { message, errcode } = error as Error & { readonly errcode?: number };
    return errcode === undefined ? { message } : { message, errcode };
  }
}
