import type { Operation } from '../engine/operation.ts';
import { sealOperation } from './seal.ts';

/** Build/DataPipeline/Secor. */
export const buildSecor: Operation = sealOperation({
  name: 'Secor',
  title: 'Seal the archiver',
  does: 'Seals the archive and its object stores, in place of Secor.',
});
