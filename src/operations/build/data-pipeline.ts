import type { Operation } from '../engine/operation.ts';
import { sealOperation } from './seal.ts';

/** Build/DataPipeline/DataPipeline. */
export const buildDataPipeline: Operation = sealOperation({
  name: 'DataPipeline',
  title: 'Seal the stream jobs',
  does: 'Seals the stream jobs with their runtime and schemas, and everything that no other artifact holds.',
});
