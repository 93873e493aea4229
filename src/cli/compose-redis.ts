import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { Cache } from '../core/ports.ts';
import type { Logger } from '../observability/logger.ts';

/** Where Redis is and who asks. */
export function redisOf(config: Config) {
  return {
    host: config['redis.host'],
    port: config['redis.port'],
    tls: config['redis.tls'],
    caFile: config['redis.caFile'],
    username: config['redis.username'],
    password: config['redis.password'] === '' ? '' : resolveSecret(config['redis.password']),
  };
}

/** The marks that processes share. The client is loaded only where an environment has Redis. */
export async function openSharedState(config: Config) {
  const { openRedisState } = await import('../adapters/state/redis-state.ts');
  return openRedisState({
    ...redisOf(config),
    databases: {
      batch: config['redis.batchDatabase'],
      event: config['redis.eventDatabase'],
      route: config['redis.routeDatabase'],
      summary: config['redis.summaryDatabase'],
    },
    ttlMs: config['dedup.ttlMs'],
    graceMs: config['redis.markGraceMs'],
  });
}

/** The master data that processes share. */
export async function openSharedCache(config: Config, logger: Logger): Promise<Cache> {
  const { openRedisCache } = await import('../adapters/cache/redis-cache.ts');
  return openRedisCache({
    ...redisOf(config),
    databases: {
      device: config['redis.deviceDatabase'],
      user: config['redis.userDatabase'],
      content: config['redis.contentDatabase'],
      dialcode: config['redis.dialcodeDatabase'],
    },
    limits: { rowsMax: config['cache.rowsMax'], bytesMax: config['cache.bytesMax'] },
    logger,
  });
}
