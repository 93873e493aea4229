import type { Operation, Scope } from '../engine/operation.ts';
import { sealOperation } from './seal.ts';

/** Build/DataPipeline/Analytics. */
export const buildAnalytics: Operation = sealOperation({
  name: 'Analytics',
  title: 'Seal the API and the batch jobs',
  does: 'Seals the ingest API, the console and the data products: lists their files with digests.',
  missing: scope => (hasProducts(scope) ? [] : ['data products']),
});

function hasProducts({ release }: Scope): boolean {
  return release.artifacts.some(({ files }) => files.some(({ path }) => path.startsWith('src/products/')));
}
