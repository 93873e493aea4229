import { createInterface } from 'node:readline';
import type { Config } from '../config/options.ts';
import { serve } from './serve.ts';

/** What a trial instance is told, as one JSON line on its standard input. */
export interface TrialSetup {
  readonly config: Config;
  readonly environment: string;
  readonly dataDirectory: string;
}

/**
 * Serves an environment on data of its own until its standard input ends: however the process that started it
 * ends, this one goes with it.
 */
const lines = createInterface({ input: process.stdin });
lines.once('line', async line => {
  const { config, environment, dataDirectory } = JSON.parse(line) as TrialSetup;
  try {
    await serve({ config, environment, dataDirectory, print: () => undefined });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
  lines.close();
  process.stdin.destroy();
});
lines.once('close', () => process.kill(process.pid, 'SIGTERM'));
