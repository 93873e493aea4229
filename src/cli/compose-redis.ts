import { openRedisCache } from '../adapters/cache/redis-cache.ts';
import { checkRedis } from '../adapters/redis/check-redis.ts';
import type { RedisAddress } from '../adapters/redis/redis-connection.ts';
import { openRedisState, type RedisState } from '../adapters/state/redis-state.ts';
import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { Cache } from '../core/ports.ts';
import type { StoreCheck } from '../core/store-check.ts';
import type { Logger } from '../observability/logger.ts';
import { refuseFindings } from './refuse-findings.ts';

/** The marks in the Redis of the configuration. */
export function composeRedisState(config: Config): Promise<RedisState> {
  return openRedisState({
    ...addressOf(config),
    databases: markDatabasesOf(config),
    ttlMs: config['dedup.ttlMs'],
    graceMs: config['redis.markGraceMs'],
  });
}

/** The master data in the Redis of the configuration, for loading as for the jobs. */
export function composeRedisCache(config: Config, logger: Logger): Promise<Cache> {
  return openRedisCache({
    ...addressOf(config),
    databases: rowDatabasesOf(config),
    limits: { rowsMax: config['cache.rowsMax'], bytesMax: config['cache.bytesMax'] },
    logger,
  });
}

/** Looks at the Redis of the configuration for what is to be kept there. */
export function checkConfiguredRedis(config: Config): Promise<StoreCheck> {
  return checkRedis({
    ...addressOf(config),
    markDatabases: config['state.adapter'] === 'redis' ? Object.values(markDatabasesOf(config)) : [],
    rowDatabases: config['cache.adapter'] === 'redis' ? Object.values(rowDatabasesOf(config)) : [],
  });
}

/** Throws what is wrong with that Redis, by name; resolves with its version. What is only unwise is told. */
export async function needRedis(
  config: Config,
  warn: (problem: string, remedy: string) => void = () => undefined,
): Promise<string> {
  const found = await checkConfiguredRedis(config);
  const version = refuseFindings(`${config['redis.host']}:${config['redis.port']}`, found);
  for (const { severity, problem, remedy } of found.findings) if (severity !== 'note') warn(problem, remedy);
  return version;
}

function addressOf(config: Config): RedisAddress {
  const reference = config['redis.password'];
  return {
    host: config['redis.host'],
    port: config['redis.port'],
    tls: config['redis.tls'],
    caFile: config['redis.caFile'],
    username: config['redis.username'],
    password: reference === '' ? '' : resolveSecret(reference),
  };
}

function markDatabasesOf(config: Config) {
  return {
    batch: config['redis.batchDatabase'],
    event: config['redis.eventDatabase'],
    route: config['redis.routeDatabase'],
    summary: config['redis.summaryDatabase'],
  };
}

function rowDatabasesOf(config: Config) {
  return {
    device: config['redis.deviceDatabase'],
    user: config['redis.userDatabase'],
    content: config['redis.contentDatabase'],
    dialcode: config['redis.dialcodeDatabase'],
  };
}
