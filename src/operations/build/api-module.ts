import type { Operation } from '../engine/operation.ts';
import { sealOperation } from './seal.ts';

/** Build/DataPipeline/ApiModule. */
export const buildApiModule: Operation = sealOperation({
  name: 'ApiModule',
  title: 'Seal the query API',
  does: 'Seals the query API over the tables, which the original ran as a proxy before Druid.',
});
