import {
  Admin,
  type AdminOptions,
  type ClusterMetadata,
  ConfigResourceTypes,
  FetchIsolationLevels,
  type FetchIsolationLevelValue,
  FindCoordinatorKeyTypes,
  IncrementalAlterConfigOperationTypes,
  ListOffsetTimestamps,
  Producer,
} from '@platformatic/kafka';
import { assert, MillraceError } from '../../../core/errors.ts';
import type { GroupOffset, TopicSpec } from '../../../core/ports.ts';
import { type BrokerCall, releaseOf, releaseProblem } from './broker-version.ts';
import { type Attempt, errorFromAdmin, hasBrokerCode } from './kafka-errors.ts';
import { adminSettings, type KafkaConnection } from './kafka-settings.ts';
import type { ObservedTopic, ObservedTopics, TopicStep, WantedTopic } from './topic-plan.ts';

/** Where a partition begins and ends. */
export interface PartitionEnds {
  readonly partition: number;
  readonly startOffset: number;
  /** Offset after the last record that is not part of an open transaction. */
  readonly endOffset: number;
}

/** The broker that reads and writes of a partition go to. */
export interface Leader {
  readonly host: string;
  readonly port: number;
}

const { READ_COMMITTED, READ_UNCOMMITTED } = FetchIsolationLevels;
// The protocol's numbers of two errors that are answers.
const TOPIC_EXISTS = 36;
const GROUP_NOT_FOUND = 69;
// Its numbers of a coordinator that loads, is not there yet, or has moved: on a new cluster the first question makes
// the topics that coordinators keep their state in, which takes a busy machine seconds.
const COORDINATOR_CODES: readonly number[] = [14, 15, 16];
const COORDINATOR_MS_MAX = 15_000;
const COORDINATOR_LOOK_MS = 100;
/** How long a created topic may take to be known to every broker. */
const SHOWN_MS_MAX = 15_000;
const SHOWN_LOOK_MS = 50;

/** Opens the administration of the brokers; connects with the first call. */
export function openKafkaAdmin(connection: KafkaConnection, requestMsMax: number): KafkaAdmin {
  return new KafkaAdmin(connection, requestMsMax);
}

/**
 * What is asked of the brokers beside records: topics, offsets, groups. Every call rejects with a named error:
 * ERR_NOT_READY (brokers too old), ERR_STORE_UNAVAILABLE (with the addresses), ERR_STORE_AUTH, ERR_STORE_RIGHTS,
 * ERR_TOPIC_MISSING, ERR_REPLICAS_TOO_FEW.
 */
export class KafkaAdmin {
  readonly #settings: AdminOptions;
  readonly #admin: Admin;
  readonly #brokers: readonly string[];
  #calls: Promise<readonly BrokerCall[]> | null = null;

  constructor(connection: KafkaConnection, requestMsMax: number) {
    this.#settings = adminSettings(connection, requestMsMax);
    this.#admin = new Admin(this.#settings);
    this.#brokers = connection.brokers;
  }

  /** The brokers' release, as far as they tell. */
  async release(): Promise<string> {
    return releaseOf(await this.#checkRelease());
  }

  /** What is there of the topics; those that are not are left out. */
  async observeTopics(wanted: readonly WantedTopic[]): Promise<ObservedTopics> {
    const names = await this.#call('list topics', admin => admin.listTopics());
    const present = wanted.filter(({ topic }) => names.includes(topic));
    const metadata = await this.#metadata(present.map(({ topic }) => topic));
    const configs = await this.#configsOf(present);
    const topics = new Map<string, ObservedTopic>();
    for (const { topic } of present) {
      const { partitions } = metadata.topics.get(topic)!;
      const replication = Math.min(...partitions.map(({ replicas }) => replicas.length));
      topics.set(topic, { partitions: partitions.length, replication, configs: configs.get(topic) ?? {} });
    }
    return { brokers: metadata.brokers.size, topics };
  }

  /** Takes the steps, in order, and waits until the brokers show them. One that was taken already changes nothing. */
  async applyTopics(steps: readonly TopicStep[]): Promise<void> {
    for (const step of steps) await this.#apply(step);
    const deadlineMs = performance.now() + SHOWN_MS_MAX;
    for (const step of steps) {
      // Ends at the deadline.
      while (!(await this.#shows(step))) {
        if (performance.now() > deadlineMs) {
          const topic = step.kind === 'create' ? step.topic.topic : step.topic;
          throw new MillraceError('ERR_TOPIC_MISSING', `${topic}: the brokers do not show its change`);
        }
        await new Promise(resolve => setTimeout(resolve, SHOWN_LOOK_MS));
      }
    }
  }

  /**
   * Shows that the brokers can be used, within one request: reached, logged in, each topic there, with a leader
   * and enough copies. Answers how many partitions each has.
   */
  async check(topics: readonly string[], minInsync: number): Promise<readonly TopicSpec[]> {
    const { topics: known } = await this.#metadata(topics).catch(error => this.#blame(topics, error));
    return topics.map(topic => {
      const partitions = known.get(topic)?.partitions ?? [];
      if (partitions.length === 0) throw new MillraceError('ERR_TOPIC_MISSING', topic);
      for (const [partition, { leader, isr }] of partitions.entries()) {
        if (leader < 0 || isr.length < minInsync) {
          const why = `${topic}:${partition} has ${leader < 0 ? 'no leader' : `${isr.length} copies in sync`}`;
          throw new MillraceError('ERR_REPLICAS_TOO_FEW', `${why}, kafka.minInsync is ${minInsync}`);
        }
      }
      return { topic, partitions: partitions.length };
    });
  }

  /**
   * Shows that the login may use the groups and the transactional id, and may number what it writes; ERR_STORE_RIGHTS
   * names what it may not.
   */
  async checkRights(groupIds: readonly string[], transactionalId: string): Promise<void> {
    const { GROUP, TRANSACTION } = FindCoordinatorKeyTypes;
    for (const groupId of groupIds) {
      await this.#call(`use group ${groupId} (needs READ)`, admin =>
        admin.findCoordinator({ keyType: GROUP, keys: [groupId] }),
      );
    }
    await this.#call(`use transactional id ${transactionalId} (needs WRITE)`, admin =>
      admin.findCoordinator({ keyType: TRANSACTION, keys: [transactionalId] }),
    );
    // The native client says of this one only that it dropped the records.
    const producer = new Producer(this.#settings);
    try {
      await this.#call('write (needs WRITE on topics; before Kafka 3, IDEMPOTENT_WRITE on the cluster)', () =>
        producer.initIdempotentProducer({}),
      );
    } finally {
      await producer.close();
    }
  }

  /** The leaders of the topics' partitions by `topic:partition`; those that have none now are left out. */
  async leaders(topics: readonly string[]): Promise<ReadonlyMap<string, Leader>> {
    const { brokers, topics: known } = await this.#metadata(topics);
    const leaders = new Map<string, Leader>();
    for (const [topic, { partitions }] of known) {
      for (const [partition, { leader }] of partitions.entries()) {
        const broker = brokers.get(leader);
        if (broker !== undefined) leaders.set(`${topic}:${partition}`, broker);
      }
    }
    return leaders;
  }

  /** Where the topics' partitions begin and end, by topic. */
  async ends(topics: readonly TopicSpec[]): Promise<ReadonlyMap<string, readonly PartitionEnds[]>> {
    const [starts, ends] = await Promise.all([
      this.#offsets(topics, ListOffsetTimestamps.EARLIEST),
      this.#offsets(topics, ListOffsetTimestamps.LATEST),
    ]);
    return new Map(
      topics.map(({ topic, partitions }) => [
        topic,
        Array.from({ length: partitions }, (_, partition) => ({
          partition,
          startOffset: starts.get(`${topic}:${partition}`) ?? 0,
          endOffset: ends.get(`${topic}:${partition}`) ?? 0,
        })),
      ]),
    );
  }

  /** Where readers of committed records stop, by `topic:partition`, where that is a transaction that is open. */
  async openAt(topics: readonly TopicSpec[]): Promise<ReadonlyMap<string, number>> {
    const committed = await this.#offsets(topics, ListOffsetTimestamps.LATEST);
    const all = await this.#offsets(topics, ListOffsetTimestamps.LATEST, READ_UNCOMMITTED);
    return new Map([...committed].filter(([partition, offset]) => offset < (all.get(partition) ?? 0)));
  }

  /** Offset after the last record of a partition, those of open transactions among them. */
  async lastEnd(topic: string, partition: number): Promise<number> {
    const [listed] = await this.#call(`find the end of ${topic}`, admin =>
      admin.listOffsets({
        topics: [
          {
            name: topic,
            partitions: [{ partitionIndex: partition, timestamp: ListOffsetTimestamps.LATEST }],
          },
        ],
        isolationLevel: READ_UNCOMMITTED,
      }),
    );
    const end = listed?.partitions[0]?.offset;
    assert(end !== undefined && end >= 0n, 'the brokers name an end or an error');
    return Number(end);
  }

  /** Committed offsets of groups, by the names that the brokers know them by. */
  async groupOffsets(groupIds: readonly string[]): Promise<readonly GroupOffset[]> {
    if (groupIds.length === 0) return [];
    const doing = `read the offsets of groups ${groupIds.join(', ')}`;
    try {
      const groups = await this.#call(doing, admin =>
        admin.listConsumerGroupOffsets({ groups: [...groupIds] }),
      );
      return groups.flatMap(({ groupId, topics }) =>
        topics.flatMap(({ name, partitions }) =>
          partitions
            .filter(({ committedOffset }) => committedOffset >= 0n)
            .map(({ partitionIndex, committedOffset }) => ({
              group: groupId,
              topic: name,
              partition: partitionIndex,
              offset: Number(committedOffset),
            })),
        ),
      );
    } catch (error) {
      if (hasBrokerCode(error, GROUP_NOT_FOUND)) return [];
      throw error;
    }
  }

  /** How many members a group has now. */
  async memberCount(groupId: string): Promise<number> {
    try {
      const groups = await this.#call(`describe group ${groupId}`, admin =>
        admin.describeGroups({ groups: [groupId] }),
      );
      return groups.get(groupId)?.members.size ?? 0;
    } catch (error) {
      if (hasBrokerCode(error, GROUP_NOT_FOUND)) return 0;
      throw error;
    }
  }

  /** Bytes on disk by `topic:partition`, one copy's. */
  async sizes(topics: readonly TopicSpec[]): Promise<ReadonlyMap<string, number>> {
    const wanted = topics.map(({ topic, partitions }) => ({
      name: topic,
      partitions: Array.from({ length: partitions }, (_, partition) => partition),
    }));
    const brokers = await this.#call('measure topics', admin => admin.describeLogDirs({ topics: wanted }));
    const sizes = new Map<string, number>();
    for (const directory of brokers.flatMap(({ results }) => results)) {
      for (const { name, partitions } of directory.topics) {
        for (const { partitionIndex, partitionSize } of partitions) {
          const key = `${name}:${partitionIndex}`;
          sizes.set(key, Math.max(sizes.get(key) ?? 0, Number(partitionSize)));
        }
      }
    }
    return sizes;
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }

  async #apply(step: TopicStep): Promise<void> {
    switch (step.kind) {
      case 'create': {
        const { topic, partitions, replication: replicas, configs } = step.topic;
        const list = Object.entries(configs).map(([name, value]) => ({ name, value }));
        try {
          await this.#call(`create topic ${topic}`, admin =>
            admin.createTopics({ topics: [{ topic, partitions, replicas }], configs: list }),
          );
        } catch (error) {
          if (!hasBrokerCode(error, TOPIC_EXISTS)) throw error;
        }
        return;
      }
      case 'partitions': {
        const topics = [{ name: step.topic, count: step.to }];
        await this.#call(`add partitions to ${step.topic}`, admin => admin.createPartitions({ topics }));
        return;
      }
      case 'configs': {
        const configs = Object.entries(step.configs).map(([name, value]) => ({
          name,
          value,
          configOperation: IncrementalAlterConfigOperationTypes.SET,
        }));
        const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: step.topic, configs }];
        await this.#call(`change settings of ${step.topic}`, admin =>
          admin.incrementalAlterConfigs({ resources }),
        );
      }
    }
  }

  /** Of several topics one is refused, and the brokers' answer does not say which: asks for each. */
  async #blame(topics: readonly string[], error: unknown): Promise<never> {
    const isOfOne = error instanceof MillraceError && error.code === 'ERR_STORE_RIGHTS' && topics.length > 1;
    if (isOfOne) for (const topic of topics) await this.#metadata([topic]);
    throw error;
  }

  async #shows(step: TopicStep): Promise<boolean> {
    if (step.kind === 'configs') {
      const shown = (await this.#configsOf([step])).get(step.topic) ?? {};
      return Object.entries(step.configs).every(([name, value]) => shown[name] === value);
    }
    const [topic, partitions] =
      step.kind === 'create' ? [step.topic.topic, step.topic.partitions] : [step.topic, step.to];
    try {
      return (await this.check([topic], 1))[0]!.partitions >= partitions;
    } catch (error) {
      const isEarly =
        error instanceof MillraceError && /^ERR_(TOPIC_MISSING|REPLICAS_TOO_FEW)$/.test(error.code);
      if (isEarly) return false;
      throw error;
    }
  }

  async #metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    return this.#call(`look at topics ${topics.join(', ')}`, admin =>
      admin.metadata({ topics: [...topics], forceUpdate: true }),
    );
  }

  async #configsOf(wanted: readonly Pick<WantedTopic, 'topic' | 'configs'>[]) {
    const configs = new Map<string, Record<string, string>>();
    if (wanted.length === 0) return configs;
    const resources = wanted.map(({ topic, configs: names }) => ({
      resourceType: ConfigResourceTypes.TOPIC,
      resourceName: topic,
      configurationKeys: Object.keys(names),
    }));
    const described = await this.#call('read the settings of topics', admin =>
      admin.describeConfigs({ resources }),
    );
    for (const { resourceName, configs: rows } of described) {
      configs.set(resourceName, Object.fromEntries(rows.map(({ name, value }) => [name, value ?? ''])));
    }
    return configs;
  }

  async #offsets(
    topics: readonly TopicSpec[],
    timestamp: bigint,
    isolationLevel: FetchIsolationLevelValue = READ_COMMITTED,
  ): Promise<ReadonlyMap<string, number>> {
    const wanted = topics.map(({ topic, partitions }) => ({
      name: topic,
      partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp })),
    }));
    const listed = await this.#call('find the ends of topics', admin =>
      admin.listOffsets({ topics: wanted, isolationLevel }),
    );
    return new Map(
      listed.flatMap(({ name, partitions }) =>
        partitions.map(
          ({ partitionIndex, offset }) => [`${name}:${partitionIndex}`, Number(offset)] as const,
        ),
      ),
    );
  }

  /** What the brokers take, asked for once. Throws where they are too old. */
  async #checkRelease(): Promise<readonly BrokerCall[]> {
    this.#calls ??= this.#ask('list its calls', admin => admin.listApis()).then(calls => {
      const problem = releaseProblem(this.#brokers, calls);
      if (problem !== null) throw problem;
      return calls;
    });
    try {
      return await this.#calls;
    } catch (error) {
      this.#calls = null;
      throw error;
    }
  }

  async #call<T>(doing: string, call: (admin: Admin) => Promise<T>): Promise<T> {
    await this.#checkRelease();
    return this.#ask(doing, call);
  }

  async #ask<T>(doing: string, call: (admin: Admin) => Promise<T>): Promise<T> {
    const attempt: Attempt = { brokers: this.#brokers, doing };
    const deadlineMs = performance.now() + COORDINATOR_MS_MAX;
    // Ends with an answer, any other error, or at the deadline.
    while (true) {
      try {
        return await call(this.#admin);
      } catch (error) {
        const isEarly = COORDINATOR_CODES.some(code => hasBrokerCode(error, code));
        if (!isEarly || performance.now() > deadlineMs) throw errorFromAdmin(error, attempt);
        await new Promise(resolve => setTimeout(resolve, COORDINATOR_LOOK_MS));
      }
    }
  }
}
