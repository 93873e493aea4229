import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { sitePaths } from '../compose-site.ts';
import { detachedLog } from '../detach.ts';
import { formatTime } from '../format.ts';
import { operationCall } from '../operation-call.ts';
import { logFiles, readRunLog } from '../run-log.ts';
import { stopSignal } from '../stop-signal.ts';

const LOOK_MS = 200;
const CHUNK_BYTES = 64 * 1024;

/**
 * `logs NAME`: `up` is what the detached serving process said; an operation is what runs said of it. With `-f` it
 * goes on until Ctrl-C.
 */
export async function logs(call: Call): Promise<undefined> {
  const name = call.arg(0);
  const stopped = stopSignal();
  return name === 'up' ? tailFile(call, stopped) : tailOperations(call, stopped);
}

async function tailFile(call: Call, signal: AbortSignal): Promise<undefined> {
  const { settings, output } = call;
  const file = detachedLog(settings);
  if (!existsSync(file)) {
    throw new MillraceError('ERR_NOT_FOUND', `there is no ${file}`, {
      remedy: 'It is written by: millrace up --detach. In the foreground, up says it on its terminal.',
    });
  }
  await using handle = await open(file, 'r');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let position = 0;
  // Ends at the end of the file, or with the signal.
  while (!signal.aborted) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    position += bytesRead;
    if (bytesRead > 0) await output.write(Buffer.from(chunk.subarray(0, bytesRead)));
    // It was cut meanwhile, which its end tells.
    else if ((await handle.stat()).size < position) position = 0;
    else if (!call.flag('follow') || !(await waits(signal))) return;
  }
}

async function tailOperations(call: Call, signal: AbortSignal): Promise<undefined> {
  const { settings, paths } = operationCall(call, [call.arg(0)]);
  const folder = join(sitePaths(settings).operations, 'runs');
  let shown = 0;
  // Ends when everything was shown, or with the signal.
  while (!signal.aborted) {
    const events = logFiles(folder)
      .flatMap(readRunLog)
      .filter(({ operation }) => paths.includes(operation));
    for (const event of events.slice(shown)) {
      const text = `${formatTime(event.timeMs)} ${event.phase.padEnd(8)} ${event.message}\n`;
      call.output.document(event, () => text);
    }
    shown = events.length;
    if (!call.flag('follow') || !(await waits(signal))) return;
  }
}

async function waits(signal: AbortSignal): Promise<boolean> {
  return sleep(LOOK_MS, true, { signal }).catch(() => false);
}
