import type { Job, JobDeps } from '../core/job.ts';
import { createDedup } from './dedup.ts';
import { createDenormalise } from './denormalise.ts';
import { createExtract } from './extract.ts';
import { createFlatten } from './flatten.ts';
import { createRedact } from './redact.ts';
import { createRoute } from './route.ts';
import { createSummariseRoute } from './summarise-route.ts';
import { createValidate } from './validate.ts';

/** Every stream job, in pipeline order; the branch of derived events last. */
export function createJobs(deps: JobDeps): readonly Job[] {
  return [
    createExtract(deps),
    createRedact(deps),
    createValidate(deps),
    createDedup(deps),
    createFlatten(deps),
    createDenormalise(deps),
    createRoute(deps),
    createSummariseRoute(deps),
  ];
}
