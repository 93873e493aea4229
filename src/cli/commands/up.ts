import { loadConfig } from '../../config/load.ts';
import type { Call } from '../call.ts';
import type { Output } from '../output.ts';

/** `up`: runs every operation, then serves; resolves after the drain, or with --detach once it serves. */
export async function up(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const port = call.integer('port', 0, 65_535);
  const loaded = loadConfig(settings).config;
  const config = port === undefined ? loaded : { ...loaded, 'http.port': port };
  if (call.flag('detach')) {
    await (await import('../detach.ts')).detach(call, port);
    return;
  }
  (await import('../detach.ts')).keepLogTrimmed(call);
  // Before anything is opened, so that no signal is lost.
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  const print = (line: string) => printProgress(output, line);
  const { bringUp } = await import('../bring-up.ts');
  const { serve } = await import('../serve.ts');
  const { startOperationsApi } = await import('../operations-process.ts');
  const { sendSamplesWhileServing } = await import('../send-sample.ts');
  const broughtUp = await bringUp({ settings, config, print, signal: stopped.signal }).catch(error => {
    // Cancelled as it was asked to; the next run goes on there.
    if (stopped.signal.aborted) return null;
    throw error;
  });
  if (broughtUp === null) return;
  if (stopped.signal.aborted) {
    await broughtUp.stop();
    return;
  }
  if (call.flag('sample')) {
    void sendSamplesWhileServing(settings, { output, signal: stopped.signal });
  }
  try {
    await serve({
      config,
      environment: settings.environment,
      dataDirectory: settings.dataDirectory,
      print,
      release: broughtUp.release,
      servers: broughtUp.servers,
      operations: startOperationsApi(settings),
    });
  } finally {
    stopped.abort();
    await broughtUp.stop();
  }
}

/** What `up` tells is its answer to a person; with --json standard output is for documents alone. */
function printProgress(output: Output, line: string): void {
  if (output.json) output.note(line);
  else output.document({}, () => `${line}\n`);
}
