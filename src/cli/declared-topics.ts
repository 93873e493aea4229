import type { Config } from '../config/options.ts';
import type { TopicSpec } from '../core/ports.ts';
import { fullTopic, TOPICS, topicKind } from '../core/topics.ts';

/** Every topic of an environment with its partitions, stored or not: what an earlier layout left must be readable. */
export function declaredTopics(config: Config, environment: string): readonly TopicSpec[] {
  return Object.keys(TOPICS).map(name => ({
    topic: fullTopic(environment, name),
    partitions: topicKind(name) === 'internal' ? 1 : config['log.partitions'],
  }));
}
