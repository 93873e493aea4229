import { consumerSettings, type KafkaConnection } from '../src/adapters/log/kafka/kafka-settings.ts';
import type { NativeSettings } from '../src/adapters/log/kafka/native-client.ts';

/** Settings with which the native client reads fastest: without the first three it gave a third of the records. */
export function readSettings(connection: KafkaConnection, group: string): NativeSettings {
  return {
    ...consumerSettings(connection, group),
    'queued.min.messages': 100_000,
    'fetch.queue.backoff.ms': 5,
    'fetch.wait.max.ms': 100,
    'queued.max.messages.kbytes': 32 * 1024,
  };
}
