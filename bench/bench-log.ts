import { type EmbeddedLog, openEmbeddedLog } from '../src/adapters/log/embedded-log.ts';
import type { Config } from '../src/config/options.ts';
import type { Logger } from '../src/observability/logger.ts';

/** The embedded log of a benchmark: one topic with one partition, as `up` opens it, that refuses for no bound. */
export function openBenchLog(
  directory: string,
  { topic, config, logger }: { readonly topic: string; readonly config: Config; readonly logger: Logger },
): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    directory,
    topics: [{ topic, partitions: 1 }],
    segmentBytes: config['log.segmentBytes'],
    retentionMs: config['log.retentionMs'],
    retentionBytes: config['log.retentionBytes'],
    behindBytesMax: Number.MAX_SAFE_INTEGER,
    freeBytesMin: 0,
    queueBytesMax: config['log.queueBytesMax'],
    logger,
  });
}
