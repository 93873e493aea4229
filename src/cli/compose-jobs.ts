import { createMemoryState } from '../adapters/state/memory-state.ts';
import { SCHEMAS_DIRECTORY } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import type { JobDocument } from '../core/documents.ts';
import type { Job, SchemaRegistry } from '../core/job.ts';
import type { StateStore } from '../core/ports.ts';
import { createJobs } from '../jobs/index.ts';
import { ARCHIVE_GROUP } from '../runtime/archive/offsets.ts';
import { archivedTopics, type Layout, planLayout } from '../runtime/segments.ts';
import { TABLE_TOPICS } from '../runtime/tables/table-rows.ts';
import { TABLES_GROUP } from '../runtime/tables/tables-sink.ts';
import { uuidOf } from '../runtime/uuid.ts';

/**
 * The stream jobs in pipeline order, with the options of the configuration and the shipped schemas.
 * @param own  folder of the schemas of an environment: those that are published there come in
 */
export async function composeJobs(config: Config, own?: string): Promise<readonly Job[]> {
  // Loaded only where jobs run: the compiled schemas take 15 MB of a thread.
  const { compileSchemas, loadSchemas } = await import('../adapters/schemas/ajv-schemas.ts');
  if (own === undefined) return jobsWith(config, await loadSchemas(SCHEMAS_DIRECTORY));
  const { readPublishedSet } = await import('../adapters/schemas/schema-catalogue.ts');
  return jobsWith(config, compileSchemas(await readPublishedSet({ shipped: SCHEMAS_DIRECTORY, own })));
}

/** The jobs as a thread needs them that lists them and lays them out, but does not run them. */
export function describeJobs(config: Config): readonly Job[] {
  const refuse = (): never => {
    throw new Error('assertion failed: described jobs do not run');
  };
  return jobsWith(config, { validateEvents: refuse, validateRouted: refuse });
}

/** The stream jobs in pipeline order, with the options of the configuration. */
export function jobsWith(config: Config, schemas: SchemaRegistry): readonly Job[] {
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
    schemas,
    uuid: uuidOf,
    byteLength: text => Buffer.byteLength(text, 'utf8'),
  });
}

/** The jobs as `job list` and `GET /v1/jobs` tell of them. Topics without the environment's prefix. */
export function jobDocuments(jobs: readonly Job[]): readonly JobDocument[] {
  return jobs.map(({ name, replaces, does, inputs, outputs }) => ({
    job: name,
    replaces,
    does,
    inputs,
    outputs,
  }));
}

/** First sightings of a trial run: in memory, gone with it. */
export function composeTrialState(config: Config): StateStore {
  return createMemoryState(config['dedup.ttlMs']);
}

/** The layout that the configuration gives the jobs. */
export function composeLayout(jobs: readonly Job[], config: Config): Layout {
  return planLayout(jobs, config['chain.split'], config['topics.store']);
}

/** A consumer group with the topics that it reads, without prefix. */
export interface Reader {
  readonly group: string;
  readonly topics: readonly string[];
}

/** Who reads the topics of a layout: its segments, and the sinks that are switched on. */
export function readersOf(layout: Layout, config: Config): readonly Reader[] {
  const segments = layout.segments.map(({ group, inputs }) => ({ group, topics: inputs }));
  return [...segments, ...sinkReaders(layout, config)];
}

/** The sinks that are switched on, with what they read. */
export function sinkReaders(layout: Layout, config: Config): readonly Reader[] {
  return [
    ...(config['archive.enabled'] ? [{ group: ARCHIVE_GROUP, topics: archivedTopics(layout) }] : []),
    ...(config['tables.enabled'] ? [{ group: TABLES_GROUP, topics: Object.keys(TABLE_TOPICS) }] : []),
  ];
}
