import type { KafkaConnection } from '../../src/adapters/log/kafka/kafka-settings.ts';
import type { Config } from '../../src/config/options.ts';
import { resolveSecret } from '../../src/config/secret.ts';

/** How brokers that were started here are reached: by their bindings, or a configuration with those in it. */
export function connectionTo(bindings: Partial<Config>): KafkaConnection {
  return {
    brokers: bindings['kafka.brokers'] ?? [],
    tls: false,
    caFile: '',
    mechanism: 'plain',
    username: bindings['kafka.username'] ?? '',
    password: resolveSecret(bindings['kafka.password'] ?? ''),
  };
}
