import { parentPort } from 'node:worker_threads';
import { benchBatch } from './corpus.ts';

/** Keeps a core busy with the same work, until its thread is ended. See `busyParseFloorUs`. */
const text = benchBatch(0, 100).toString();
parentPort?.postMessage('busy');
// Ends: with the thread.
for (;;) JSON.parse(text);
