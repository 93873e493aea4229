import { parentPort, workerData } from 'node:worker_threads';
import { assertNever } from '../core/errors.ts';
import { armFailpoint } from '../observability/failpoint.ts';
import { answerCalls, type CallHandlers, type CallPort, threadPort, toFailure } from './worker-call.ts';
import { joinParent } from './worker-process.ts';
import type { WorkerSetup } from './worker-setup.ts';

// Started as a thread by `startThread`, or as a process by `startProcess`.
if (parentPort !== null) await start(threadPort(parentPort), workerData as WorkerSetup);
else await startInProcess();

async function start(port: CallPort, setup: WorkerSetup): Promise<CallHandlers> {
  armFailpoint(setup.config['debug.failpoint']);
  const handlers = await handlersOf(setup);
  answerCalls(port, handlers);
  port.post('ready');
  return handlers;
}

/** The parts are loaded by role: a worker holds only the code it runs. */
async function handlersOf(setup: WorkerSetup): Promise<CallHandlers> {
  switch (setup.role) {
    case 'chain':
      return (await import('./chain-worker.ts')).startChain(setup);
    case 'sinks':
      return (await import('./sinks-worker.ts')).startSinks(setup);
    default:
      return assertNever(setup.role);
  }
}

/** Says why it ends, as it cannot throw to its parent; ends with it too, however that went. */
async function startInProcess(): Promise<void> {
  const { port, setup } = await joinParent();
  const fail = (error: unknown): void => {
    port.post({ failed: toFailure(error) });
    // What was sent must get out; nothing is waited for beyond that.
    setImmediate(() => process.exit(1));
  };
  process.on('uncaughtException', fail);
  try {
    await start(port, setup);
  } catch (error) {
    fail(error);
  }
}
