import { fileURLToPath } from 'node:url';
import { loadSchemas } from '../adapters/schemas/ajv-schemas.ts';
import { createMemoryState } from '../adapters/state/memory-state.ts';
import type { Config } from '../config/options.ts';
import type { Job } from '../core/job.ts';
import type { StateStore } from '../core/ports.ts';
import { createJobs } from '../jobs/index.ts';
import { type Layout, planLayout } from '../runtime/segments.ts';
import { uuidOf } from '../runtime/uuid.ts';

const SCHEMAS_DIRECTORY = fileURLToPath(new URL('../../schemas', import.meta.url));

/** The stream jobs in pipeline order, with the options of the configuration and the shipped schemas. */
export async function composeJobs(config: Config): Promise<readonly Job[]> {
  return createJobs({
    options: {
      extract: { eventBytesMax: config['extract.eventBytesMax'] },
      redact: { eids: config['redact.eids'] },
      validate: { channelDefault: config['validate.channelDefault'] },
      dedup: { producers: config['dedup.producers'], ttlMs: config['dedup.ttlMs'] },
      flatten: { secondaryEids: config['flatten.secondaryEids'] },
      denormalise: {
        expiryMonths: config['denormalise.expiryMonths'],
        skipEids: config['denormalise.skipEids'],
        permitEids: config['denormalise.permitEids'],
        collectionMiss: config['denormalise.collectionMiss'],
      },
      route: { validation: config['route.validation'], deduplication: config['route.deduplication'] },
    },
    schemas: await loadSchemas(SCHEMAS_DIRECTORY),
    uuid: uuidOf,
    byteLength: text => Buffer.byteLength(text, 'utf8'),
  });
}

/** First sightings of a trial run: in memory, gone with it. */
export function composeTrialState(config: Config): StateStore {
  return createMemoryState(config['dedup.ttlMs']);
}

/** The jobs with the layout that the configuration gives them. */
export async function composeLayout(config: Config): Promise<{ jobs: readonly Job[]; layout: Layout }> {
  const jobs = await composeJobs(config);
  return { jobs, layout: planLayout(jobs, config['chain.split'], config['topics.store']) };
}
