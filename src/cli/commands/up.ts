import { loadConfig } from '../../config/load.ts';
import type { Call } from '../call.ts';
import type { Output } from '../output.ts';

/** `up`: resolves after the drain, or with --detach once the environment serves. */
export async function up(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const port = call.integer('port', 0, 65_535);
  const { config } = loadConfig(settings);
  if (call.flag('detach')) {
    await (await import('../detach.ts')).detach(call, port);
    return;
  }
  const stopped = new AbortController();
  if (call.flag('sample')) {
    const { sendSamplesWhileServing } = await import('../send-sample.ts');
    // Before the service hears it, so that the last sample does not find a closed door.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
    void sendSamplesWhileServing(settings, { output, signal: stopped.signal });
  }
  const { serve } = await import('../serve.ts');
  try {
    await serve({
      config,
      environment: settings.environment,
      dataDirectory: settings.dataDirectory,
      ...(port === undefined ? {} : { port }),
      print: line => printProgress(output, line),
    });
  } finally {
    stopped.abort();
  }
}

/** What `up` tells is its answer to a person; with --json standard output is for documents alone. */
function printProgress(output: Output, line: string): void {
  if (output.json) output.note(line);
  else output.document({}, () => `${line}\n`);
}
