import { parentPort, workerData } from 'node:worker_threads';
import { assert, assertNever } from '../core/errors.ts';
import { armFailpoint } from '../observability/failpoint.ts';
import { answerCalls, type CallHandlers, threadPort } from './worker-call.ts';
import type { WorkerSetup } from './worker-setup.ts';

assert(parentPort !== null, 'worker.ts runs in a thread');
const port = threadPort(parentPort);
const setup = workerData as WorkerSetup;
armFailpoint(setup.config['debug.failpoint']);
answerCalls(port, await start());
port.post('ready');

/** The parts are loaded by role: a thread holds only the code it runs. */
async function start(): Promise<CallHandlers> {
  switch (setup.role) {
    case 'chain':
      return (await import('./chain-worker.ts')).startChain(setup);
    case 'sinks':
      return (await import('./sinks-worker.ts')).startSinks(setup);
    default:
      return assertNever(setup.role);
  }
}
