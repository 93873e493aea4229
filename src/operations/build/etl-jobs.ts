import type { Operation } from '../engine/operation.ts';
import { sealOperation } from './seal.ts';

/** Build/DataPipeline/ETLJobs. */
export const buildEtlJobs: Operation = sealOperation({
  name: 'ETLJobs',
  title: 'Seal the master data jobs',
  does: 'Seals what loads and serves master data, which the original rebuilt in Redis with jobs of its own.',
});
