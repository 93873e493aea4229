import type { Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { locateStarted } from './compose-servers.ts';
import { prepareDataDirectory } from './data-directory.ts';
import type { ProcessSetup } from './worker-setup.ts';

/** What a worker is told beside its settings. */
export interface WorkerChoice {
  readonly config: Config;
  readonly instance: number;
  readonly jobs: readonly string[] | null;
}

/** The setup of a chain that joins those that run: it changes no layout, and starts no server. */
export async function openWorkerSetup(settings: Settings, choice: WorkerChoice): Promise<ProcessSetup> {
  const { environment, dataDirectory } = settings;
  const config = await locateStarted({ config: choice.config, environment, dataDirectory });
  const paths = await prepareDataDirectory(dataDirectory, environment);
  const { instance, jobs } = choice;
  return { role: 'chain', config, environment, paths, log: null, instance, jobs, changesLayout: false };
}
