import { createInterface } from 'node:readline/promises';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import type { Call } from './call.ts';

/**
 * Passes where the environment is not protected, or its name was typed: after `--confirm`, else on the terminal.
 * @throws MillraceError ERR_UNCONFIRMED
 */
export async function refuseUnconfirmed(call: Call, environment: string, config: Config): Promise<void> {
  if (!config['operations.protected']) return;
  const typed = call.text('confirm') ?? (await ask(call, environment));
  if (typed === environment) return;
  const why = typed === undefined ? 'its name was not typed' : `"${typed}" was typed, not "${environment}"`;
  throw new MillraceError('ERR_UNCONFIRMED', `${environment}: ${why}`, {
    remedy: `If it is meant: --confirm ${environment}`,
  });
}

/** What a person types; undefined where none is there to be asked. */
async function ask({ output }: Call, environment: string): Promise<string | undefined> {
  if (!output.interactive || output.json || process.stdin.isTTY !== true) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${environment} is protected. Type its name to go on: `)).trim();
  } finally {
    terminal.close();
  }
}
