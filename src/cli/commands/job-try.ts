import { loadConfig } from '../../config/load.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { environmentPaths } from '../data-directory.ts';
import { tryJobs } from '../job-try.ts';
import { parseTime } from '../parse-time.ts';

/** `job try JOB[,JOB…] --input FILE`: JSON lines always, exit 0 whatever became of the events. */
export async function tryJob(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const input = call.text('input');
  if (input === undefined)
    throw new MillraceError('ERR_USAGE', '--input FILE is missing ("-" reads standard input)');
  await tryJobs({
    names: call
      .arg(0)
      .split(',')
      .map(name => name.trim()),
    input,
    cacheFiles: Object.fromEntries(call.texts('cache').map(parseCache)),
    schemas: environmentPaths(settings.dataDirectory, settings.environment).schemas,
    nowMs: parseNow(call.text('now')),
    config: loadConfig(settings).config,
    environment: settings.environment,
    print: line => output.write(`${line}\n`),
  });
}

function parseCache(text: string): readonly [string, string] {
  const [, dataset, file] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (dataset !== undefined && file !== undefined) return [dataset, file];
  throw new MillraceError('ERR_USAGE', `--cache ${text} is not DATASET=FILE`, {
    remedy: 'Write, for example: --cache device=devices.jsonl',
  });
}

function parseNow(text: string | undefined): number {
  if (text === undefined) return Date.now();
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return timeMs;
  throw new MillraceError('ERR_USAGE', `--now must be ISO 8601 or epoch milliseconds, is "${text}"`);
}
