import { loadConfig } from '../../config/load.ts';
import type { Call } from '../call.ts';

/** `up`: resolves after the drain, or with --detach once the environment serves. */
export async function up(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const port = call.integer('port', 0, 65_535);
  const { config, origins } = loadConfig(settings);
  if (call.flag('detach')) {
    await (await import('../detach.ts')).detach(call, port);
    return;
  }
  const stopped = new AbortController();
  if (call.flag('sample')) {
    const { sendSamplesWhileServing } = await import('../send-sample.ts');
    void sendSamplesWhileServing(settings, { output, signal: stopped.signal });
  }
  const { serve } = await import('../serve.ts');
  await serve({
    config,
    origins,
    environment: settings.environment,
    dataDirectory: settings.dataDirectory,
    ...(port === undefined ? {} : { port }),
    // With --json standard output is for documents; what `up` tells is progress.
    print: line => (output.json ? output.note(line) : void process.stdout.write(`${line}\n`)),
  });
  stopped.abort();
}
