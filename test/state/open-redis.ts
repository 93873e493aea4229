import type { TestContext } from 'node:test';
import { connectRedis } from '../../src/adapters/redis/redis-connection.ts';
import {
  openRedisState,
  type RedisState,
  type RedisStateOptions,
} from '../../src/adapters/state/redis-state.ts';
import type { TestRedis } from '../servers/redis.ts';
import { TTL_MS } from './contract.ts';

/** The databases of the pipeline that this one stands in for. */
export const MARK_DATABASES = { batch: 1, event: 7, route: 8, summary: 9 } as const;

/** Options of a store on a Redis of a test. */
export function stateOptions(redis: TestRedis, changes: Partial<RedisStateOptions> = {}): RedisStateOptions {
  return { ...redis.address, databases: MARK_DATABASES, ttlMs: TTL_MS, graceMs: 60_000, ...changes };
}

/** Opens a store on it; closed when the test is over. */
export async function openState(
  t: TestContext,
  redis: TestRedis,
  changes: Partial<RedisStateOptions> = {},
): Promise<RedisState> {
  const state = await openRedisState(stateOptions(redis, changes));
  t.after(() => state.close());
  return state;
}

/** Sends commands as an operator would; answers their replies. */
export async function ask(redis: TestRedis, ...commands: [string, ...(string | number)[]][]) {
  const connection = await connectRedis(redis.address);
  try {
    return await connection.send(commands);
  } finally {
    await connection.close();
  }
}
