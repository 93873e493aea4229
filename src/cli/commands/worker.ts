import { once } from 'node:events';
import { loadConfig } from '../../config/load.ts';
import { didYouMean } from '../../config/suggest.ts';
import { exitCodeOf, MillraceError } from '../../core/errors.ts';
import { JOB_NAMES } from '../../core/job.ts';
import { armFailpoint } from '../../observability/failpoint.ts';
import type { Call } from '../call.ts';
import { reportFailure } from '../output.ts';
import { stopSignal } from '../stop-signal.ts';

/**
 * `worker`: runs stream jobs of an environment whose log others reach too, until SIGTERM or SIGINT. Exit 1
 * where another worker of the same number took its place, or a commit failed halfway: what it had not committed
 * is processed by whoever reads on, so starting it again is all there is to do.
 */
export async function worker(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const { config } = loadConfig(settings);
  if (config['log.adapter'] !== 'kafka') {
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `${settings.environment} has its log in the process of up`,
      {
        remedy:
          'Workers share a log on Kafka: name an environment with log.adapter kafka, such as --env services.',
      },
    );
  }
  const instance = call.integer('instance', 1, 999) ?? 100;
  const jobs = readJobs(call.text('jobs'));
  armFailpoint(config['debug.failpoint']);
  const stopping = stopSignal();
  const stopped = once(stopping, 'abort');
  process.on('uncaughtException', error => {
    reportFailure(error, output.json);
    process.exit(exitCodeOf(error));
  });
  const { openWorkerSetup } = await import('../compose-worker.ts');
  const { startChain } = await import('../chain-worker.ts');
  const { followPublished } = await import('../worker-schemas.ts');
  const setup = await openWorkerSetup(settings, { config, instance, jobs });
  const chain = await startChain(setup, stopping).catch(error => {
    if (stopping.aborted) return null;
    throw error;
  });
  // Stopped while it joined its groups: it has left them.
  if (chain === null) return undefined;
  const unfollow = followPublished(setup.paths, chain, error => reportFailure(error, false));
  output.document({ instance, jobs }, () => `worker ${instance} runs ${jobs?.join(', ') ?? 'all jobs'}\n`);
  await stopped;
  unfollow();
  await chain.stop();
}

/** The jobs of a comma list; null for all. */
function readJobs(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  const names = text.split(',').map(name => name.trim());
  for (const name of names) {
    if (JOB_NAMES.some(known => known === name)) continue;
    throw new MillraceError('ERR_JOB_UNKNOWN', `--jobs names "${name}"${didYouMean(name, JOB_NAMES)}`);
  }
  return names;
}
