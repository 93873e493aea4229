import { once } from 'node:events';
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

/** What a person types; undefined where none is there to be asked, or the answer is Ctrl-C or the end of input. */
async function ask({ output }: Call, environment: string): Promise<string | undefined> {
  if (!output.interactive || output.json || process.stdin.isTTY !== true) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const question = terminal.question(`${environment} is protected. Type its name to go on: `);
  // The question alone would wait for ever where the terminal goes away.
  const closed = once(terminal, 'close').then(() => undefined);
  try {
    return await Promise.race([question.then(typed => typed.trim()), closed]);
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error;
    // What is said next begins its own line.
    process.stderr.write('\n');
    return undefined;
  } finally {
    terminal.close();
  }
}
