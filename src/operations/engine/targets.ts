import type { Config } from '../../config/options.ts';
import type { OperationTarget } from '../../core/operation-documents.ts';

/** A server's target as the configuration has it: `host` or `external`. */
function targetOf(text: string): OperationTarget {
  return text === 'host' ? 'host' : 'external';
}

/** Redis serves two ports: it is there where either of them uses it. */
export function redisTarget(config: Config): OperationTarget {
  const isUsed = config['state.adapter'] === 'redis' || config['cache.adapter'] === 'redis';
  return isUsed ? targetOf(config['redis.target']) : 'embedded';
}

/** Kafka is there where the log is on it. */
export function kafkaTarget(config: Config): OperationTarget {
  return config['log.adapter'] === 'embedded' ? 'embedded' : targetOf(config['kafka.target']);
}

/** PostgreSQL is there where the tables are in it. */
export function postgresTarget(config: Config): OperationTarget {
  return config['tables.adapter'] === 'sqlite' ? 'embedded' : targetOf(config['postgres.target']);
}

/** ZooKeeper is there where an old Kafka needs it. */
export function zookeeperTarget(config: Config): OperationTarget {
  return config['kafka.generation'] === 'zookeeper' ? kafkaTarget(config) : 'embedded';
}
