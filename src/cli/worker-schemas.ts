import { type CompiledSchemas, compileSchemas } from '../adapters/schemas/ajv-schemas.ts';
import { readPublishedSet, readSetOf } from '../adapters/schemas/schema-catalogue.ts';
import { readPublished } from '../adapters/schemas/schema-files.ts';
import { SCHEMAS_DIRECTORY } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import type { SchemaRegistry } from '../core/job.ts';
import type { RunnerOptions } from '../runtime/runner.ts';
import type { Segment } from '../runtime/segments.ts';
import { jobsWith } from './compose-jobs.ts';
import type { EnvironmentPaths } from './data-directory.ts';

/** Time between two looks at the published set, by a worker that nobody tells of it. */
const FOLLOW_MS = 2000;

/** The schemas of a worker: compiled once, exchanged while it runs. */
export interface WorkerSchemas {
  /** The registry that was current when it was opened. */
  readonly registry: SchemaRegistry;
  /**
   * A segment whose jobs go by one registry throughout a batch, and by the current one from the next batch on. An
   * event that is accepted after an exchange is in a later batch, so the new registry judges it.
   */
  bind(segment: Segment): Pick<RunnerOptions, 'segment' | 'onBatch'>;
  /** What the worker answers about its schemas. */
  readonly calls: {
    /** Digest of the set that batches are judged by from now on. */
    schemasDigest(): string;
    /** Compiles the set of these versions aside; resolves with its digest. Nothing changes where it throws. */
    prepareSchemas(versions: Readonly<Record<string, number>>): Promise<string>;
    /** Makes the set that was prepared current; its digest must be this one. */
    reloadSchemas(digest: string): void;
  };
}

/** Compiles the published schemas of an environment. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
export async function openWorkerSchemas(config: Config, paths: EnvironmentPaths): Promise<WorkerSchemas> {
  const places = { shipped: SCHEMAS_DIRECTORY, own: paths.schemas };
  let current = compileSchemas(await readPublishedSet(places));
  let prepared: CompiledSchemas | undefined;
  return {
    registry: current,
    bind(segment) {
      const pinned = pin(() => current);
      const jobs = jobsWith(config, pinned.registry);
      const own = segment.jobs.map(({ name }) => jobs.find(job => job.name === name)!);
      return { segment: { ...segment, jobs: own }, onBatch: pinned.renew };
    },
    calls: {
      schemasDigest: () => current.digest,
      async prepareSchemas(versions) {
        prepared = compileSchemas(await readSetOf(places, versions), current);
        return prepared.digest;
      },
      reloadSchemas(digest) {
        if (current.digest === digest) return;
        if (prepared?.digest !== digest)
          throw new MillraceError('ERR_NOT_READY', `the schemas ${digest} were not prepared`);
        current = prepared;
        prepared = undefined;
      },
    },
  };
}

/**
 * Keeps a worker that the serving process does not know on the published set: looks every 2 s whether another one
 * was published. A set that cannot be compiled leaves the old one, and is said once.
 * @returns stops it
 */
export function followPublished(
  paths: Pick<EnvironmentPaths, 'schemas'>,
  calls: WorkerSchemas['calls'],
  warn: (error: unknown) => void,
): () => void {
  let seen = '';
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      const versions = (await readPublished(paths.schemas))?.sets.at(-1)?.versions ?? {};
      const text = JSON.stringify(versions);
      if (text === seen) return;
      seen = text;
      calls.reloadSchemas(await calls.prepareSchemas(versions));
    } catch (error) {
      warn(error);
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), FOLLOW_MS);
  return () => clearInterval(timer);
}

/** A registry that stays the same one until it is renewed. */
function pin(latest: () => SchemaRegistry): { readonly registry: SchemaRegistry; renew(): void } {
  let pinned = latest();
  return {
    registry: {
      validateEvents: events => pinned.validateEvents(events),
      validateRouted: event => pinned.validateRouted(event),
    },
    renew() {
      pinned = latest();
    },
  };
}
