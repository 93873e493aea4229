import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { RunDocument } from '../core/operation-documents.ts';

const TELL_MS_MAX = 5000;

/**
 * Tells the address of `operations.webhook`, if there is one, how a run ended.
 * @returns why it could not be told; a run's outcome never depends on it. The address is not repeated: it may be a key
 */
export async function tellWebhook(
  run: RunDocument,
  config: Config,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  if (config['operations.webhook'] === '') return undefined;
  try {
    const response = await fetch(resolveSecret(config['operations.webhook'], env), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: textOf(run), run }),
      signal: AbortSignal.timeout(TELL_MS_MAX),
      redirect: 'error',
    });
    await response.body?.cancel();
    return response.ok ? undefined : `it answered ${response.status}`;
  } catch (error) {
    return error instanceof Error
      ? error.name === 'TypeError'
        ? 'it cannot be reached'
        : error.message
      : 'unknown';
  }
}

/** One line for a chat; most of them show the member `text`. */
function textOf({ environment, verb, paths, ok, changes, who, error }: RunDocument): string {
  const what = paths.length === 0 ? 'everything' : paths.join(', ');
  const how = ok ? `${changes} changes applied and verified` : `FAILED: ${error?.message}: ${error?.why}`;
  return `Millrace ${environment}: ${verb} ${what} by ${who}: ${how}`;
}
