import { statfs } from 'node:fs/promises';
import type { Config } from '../config/options.ts';
import type { VitalsDocument } from '../core/documents.ts';
import type { TableReader } from '../core/ports.ts';
import type { Pipeline } from './compose.ts';

const DAY_MS = 86_400_000;

/** Sizes on disk against their bounds, and when events came last. */
export async function vitalsOf(
  { log, paths }: Pipeline,
  config: Config,
  reader: TableReader,
): Promise<VitalsDocument> {
  const [state, last, tablesBytes, disk] = await Promise.all([
    log.describe(),
    reader.lastTimes(),
    reader.sizeBytes(),
    statfs(paths.root),
  ]);
  return {
    lastReceivedAtMs: last.receivedAtMs,
    lastRejectedAtMs: last.rejectedAtMs,
    disk: {
      logBytes: state.bytes,
      logBytesMax: config['log.retentionBytes'],
      logRetentionMs: config['log.retentionMs'],
      tablesBytes,
      tablesRetentionMs: config['tables.retentionDays'] * DAY_MS,
      freeBytes: disk.bavail * disk.bsize,
      freeBytesMin: config['log.freeBytesMin'],
    },
  };
}
