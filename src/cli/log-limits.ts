import type { Config } from '../config/options.ts';

/** The bounds of the embedded log, of whoever opens it: bytes and ms, as the keys `log.*` say. */
export function logLimitsOf(config: Config) {
  return {
    segmentBytes: config['log.segmentBytes'],
    retentionMs: config['log.retentionMs'],
    retentionBytes: config['log.retentionBytes'],
    behindBytesMax: config['log.behindBytesMax'],
    freeBytesMin: config['log.freeBytesMin'],
    queueBytesMax: config['log.queueBytesMax'],
  };
}
