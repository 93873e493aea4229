import type { Config } from '../../config/options.ts';
import type { OperationTarget } from '../../core/operation-documents.ts';

/** A server's target as the configuration has it: `host` or `external`. */
export function targetOf(text: string): OperationTarget {
  return text === 'host' ? 'host' : 'external';
}

/** Redis serves two ports: it is there where either of them uses it. */
export function redisTarget(config: Config): OperationTarget {
  const isUsed = config['state.adapter'] === 'redis' || config['cache.adapter'] === 'redis';
  return isUsed ? targetOf(config['redis.target']) : 'embedded';
}

/** ZooKeeper is there where an old Kafka needs it. */
export function zookeeperTarget(config: Config): OperationTarget {
  const isUsed = config['log.adapter'] === 'kafka' && config['kafka.generation'] === 'zookeeper';
  return isUsed ? targetOf(config['kafka.target']) : 'embedded';
}
