import { MillraceError } from '../../../core/errors.ts';
import { fullTopic, topicKind } from '../../../core/topics.ts';
import { RECORD_BYTES_MAX } from './kafka-settings.ts';

/** A topic as it should be. */
export interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  /** Settings by Kafka's names; others are left as they are. */
  readonly configs: Readonly<Record<string, string>>;
}

/** A topic as it is. */
export interface ObservedTopic {
  readonly partitions: number;
  readonly replication: number;
  /** Values in force of the settings that were asked for. */
  readonly configs: Readonly<Record<string, string>>;
}

/** What the brokers hold. */
export interface ObservedTopics {
  readonly brokers: number;
  readonly topics: ReadonlyMap<string, ObservedTopic>;
}

/** One change to the topics. */
export type TopicStep =
  | { readonly kind: 'create'; readonly topic: WantedTopic }
  | { readonly kind: 'partitions'; readonly topic: string; readonly from: number; readonly to: number }
  | { readonly kind: 'configs'; readonly topic: string; readonly configs: Readonly<Record<string, string>> };

/** Name without prefix of the topic that holds counters and offsets beside the transactions. */
export const COUNTERS_TOPIC = 'system.counters';

const MIB = 1024 * 1024;
/** Room beside the largest batch for key, headers and framing. */
const RECORD_ROOM_BYTES = MIB;
/**
 * How much larger than what came in a record may be that comes of it. What cannot be read is kept as text, six bytes
 * for a control character, and in base64 where it is not UTF-8. The brokers measure it compressed; bytes that nothing
 * compresses come to a third more.
 */
const GROWTH_MAX = 8;

/** What the topics of an environment are made from. */
export interface TopicSettings {
  readonly environment: string;
  /** Names without prefix of what holds events, and of the product's own notes (one partition each). */
  readonly stored: readonly string[];
  readonly internal: readonly string[];
  readonly partitions: number;
  readonly replication: number;
  readonly minInsync: number;
  readonly retentionMs: number;
  /** Largest value of a record that comes in, `ingest.bodyBytesMax`; what comes of it may be larger. */
  readonly recordBytesMax: number;
}

/**
 * The topics of an environment, the one of counters among them. All that hold events are kept equally long: Kafka
 * deletes by age whether a sink has read or not, so none may be kept shorter than the longest outage of a sink.
 * The product's own notes are compacted: the last one of each key is kept for good.
 */
export function wantedTopics(settings: TopicSettings): readonly WantedTopic[] {
  const { environment, replication, partitions } = settings;
  const sentBytesMax = settings.recordBytesMax + RECORD_ROOM_BYTES;
  const shared = {
    'min.insync.replicas': String(settings.minInsync),
    'max.message.bytes': String(Math.min(GROWTH_MAX * sentBytesMax, RECORD_BYTES_MAX)),
  };
  const events = { ...shared, 'cleanup.policy': 'delete', 'retention.ms': String(settings.retentionMs) };
  const sent = { ...events, 'max.message.bytes': String(sentBytesMax) };
  // Small segments: only closed ones are compacted, and who starts reads what is left.
  const notes = {
    ...shared,
    'cleanup.policy': 'compact',
    'segment.bytes': String(8 * MIB),
    'min.cleanable.dirty.ratio': '0.1',
    'max.compaction.lag.ms': '600000',
  };
  const named = (name: string) => fullTopic(environment, name);
  return [
    ...settings.stored.map(name => {
      const configs = topicKind(name) === 'input' ? sent : events;
      return { topic: named(name), partitions, replication, configs };
    }),
    ...[...settings.internal, COUNTERS_TOPIC].map(name => ({
      topic: named(name),
      partitions: 1,
      replication,
      configs: notes,
    })),
  ];
}

/**
 * The steps that make the topics what they should be; none where they are. Topics that are not wanted are left
 * alone. Throws ERR_REPLICAS_TOO_FEW where there are fewer brokers than copies, ERR_CONFIG_INVALID for fewer
 * partitions than there are: Kafka cannot take any away, and keys would change theirs.
 */
export function planTopics(wanted: readonly WantedTopic[], observed: ObservedTopics): readonly TopicStep[] {
  return wanted.flatMap((topic): readonly TopicStep[] => {
    const known = observed.topics.get(topic.topic);
    if (known === undefined) {
      checkReplication(topic, observed.brokers);
      return [{ kind: 'create', topic }];
    }
    return [...planPartitions(topic, known), ...planConfigs(topic, known)];
  });
}

function checkReplication({ topic, replication }: WantedTopic, brokers: number): void {
  if (replication <= brokers) return;
  const why = `${topic} is to have ${replication} copies, there are ${brokers} brokers`;
  throw new MillraceError('ERR_REPLICAS_TOO_FEW', why);
}

function planPartitions({ topic, partitions }: WantedTopic, known: ObservedTopic): readonly TopicStep[] {
  if (partitions === known.partitions) return [];
  if (partitions > known.partitions) {
    return [{ kind: 'partitions', topic, from: known.partitions, to: partitions }];
  }
  const why = `${topic} has ${known.partitions} partitions, log.partitions is ${partitions}`;
  throw new MillraceError('ERR_CONFIG_INVALID', why, {
    remedy: 'Set log.partitions to what there is, or more: partitions cannot be taken away.',
  });
}

function planConfigs({ topic, configs }: WantedTopic, known: ObservedTopic): readonly TopicStep[] {
  const changed = Object.entries(configs).filter(([name, value]) => known.configs[name] !== value);
  return changed.length === 0 ? [] : [{ kind: 'configs', topic, configs: Object.fromEntries(changed) }];
}
