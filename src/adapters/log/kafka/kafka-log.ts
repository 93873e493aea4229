import { assert, MillraceError } from '../../../core/errors.ts';
import type {
  Commit,
  CommitDraft,
  CommitResult,
  Consumer,
  GroupOffset,
  LogState,
  ServedLog,
  TopicSpec,
} from '../../../core/ports.ts';
import type { LogRecord } from '../../../core/record.ts';
import { fullTopic } from '../../../core/topics.ts';
import type { Logger } from '../../../observability/logger.ts';
import { TopicTable } from '../topic-table.ts';
import { BrokerHealth } from './broker-health.ts';
import { CounterFeed } from './counter-feed.ts';
import type { CounterRecord, ProgressRow } from './counter-record.ts';
import { GroupConsumer } from './group-consumer.ts';
import { GroupOffsets } from './group-offsets.ts';
import { type KafkaAdmin, openKafkaAdmin } from './kafka-admin.ts';
import { DraftBlocks, KafkaDraft } from './kafka-draft.ts';
import type { KafkaConnection } from './kafka-settings.ts';
import { type GroupRead, LogSurvey } from './log-survey.ts';
import { loadNativeClient, type NativeClient } from './native-client.ts';
import { PartitionReader } from './partition-reader.ts';
import { PlainProducer } from './plain-producer.ts';
import { COUNTERS_TOPIC } from './topic-plan.ts';
import { type GroupPart, memberRow, Transactions } from './transactions.ts';

/** What a process opens the log with. */
export interface KafkaLogOptions {
  readonly connection: KafkaConnection;
  /** Folder of the native client's package. */
  readonly clientPath: string;
  /** Prefix of topics, groups and transactional ids. */
  readonly environment: string;
  /**
   * What the process is, and which one of its kind: `<environment>.<role>.<instance>` is its transactional id. Who
   * opens a log under an id shuts off whoever had it before.
   */
  readonly role: string;
  readonly instance: number;
  /** Topics that the process uses, full names; how many partitions they have is the brokers' to say. */
  readonly topics: readonly string[];
  /** Those of them that are written without transactions, inputs among them: their records are counted by offsets. */
  readonly plainTopics: readonly string[];
  /** Groups that count, with the full names of the topics they read: for `isIdle` and `describe`. */
  readonly groups: readonly GroupRead[];
  /** Groups whose offsets name ranges (the archive): theirs are never moved past control records. */
  readonly unmovedGroups: readonly string[];
  /**
   * Whether a group has read everything, for groups that commit later than they read (the archive); undefined
   * where its commits say it.
   */
  hasRead?(group: string): Promise<boolean | undefined>;
  readonly minInsync: number;
  /** Longest a write waits for the brokers. */
  readonly requestMsMax: number;
  /** Bytes that may wait for the brokers outside transactions. */
  readonly queueBytesMax: number;
  readonly logger: Logger;
}

/**
 * Opens the log on Kafka. Throws within seconds, by name: ERR_STORE_UNAVAILABLE, ERR_STORE_AUTH, ERR_STORE_RIGHTS,
 * ERR_TOPIC_MISSING, ERR_REPLICAS_TOO_FEW, ERR_CLIENT_MISSING.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<ServedLog> {
  const client = loadNativeClient(options.clientPath);
  const admin = openKafkaAdmin(options.connection, options.requestMsMax);
  let log: KafkaLog | undefined;
  try {
    const topics = await admin.check([...options.topics, countersTopicOf(options)], options.minInsync);
    const groupIds = options.groups.map(({ group }) => fullTopic(options.environment, group));
    await admin.checkRights(groupIds, transactionalIdOf(options));
    log = new KafkaLog(options, { client, admin, topics });
    log.start();
    return log;
  } catch (error) {
    await (log ?? admin).close();
    throw error;
  }
}

function countersTopicOf({ environment }: KafkaLogOptions): string {
  return fullTopic(environment, COUNTERS_TOPIC);
}

/** The transactional id of a process. */
export function transactionalIdOf({
  environment,
  role,
  instance,
}: Pick<KafkaLogOptions, 'environment' | 'role' | 'instance'>): string {
  return `${environment}.${role}.${instance}`;
}

interface Parts {
  readonly client: NativeClient;
  readonly admin: KafkaAdmin;
  readonly topics: readonly TopicSpec[];
}

class KafkaLog implements ServedLog {
  readonly #options: KafkaLogOptions;
  readonly #client: NativeClient;
  readonly #admin: KafkaAdmin;
  readonly #topics: TopicTable;
  readonly #feed: CounterFeed;
  readonly #producer: PlainProducer;
  readonly #transactions: Transactions;
  readonly #offsets: GroupOffsets;
  readonly #survey: LogSurvey;
  readonly #reader: PartitionReader;
  readonly #health: BrokerHealth;
  readonly #members = new Map<string, GroupConsumer>();
  readonly #blocks = new DraftBlocks();
  /** Groups that this process left with work open: what it still commits for them is stale. */
  readonly #left = new Set<string>();
  #isClosed = false;

  constructor(options: KafkaLogOptions, { client, admin, topics }: Parts) {
    const { connection, environment, requestMsMax, logger } = options;
    const countersTopic = countersTopicOf(options);
    const base = { client, connection, requestMsMax, logger };
    this.#options = options;
    this.#client = client;
    this.#admin = admin;
    this.#topics = new TopicTable(topics.filter(({ topic }) => topic !== countersTopic));
    this.#feed = new CounterFeed({ ...base, admin, topic: countersTopic });
    this.#health = new BrokerHealth(() => admin.check(options.topics, options.minInsync));
    this.#producer = new PlainProducer({
      ...base,
      queueBytesMax: options.queueBytesMax,
      onUnanswered: error => this.#health.failed(error),
      onEnd: (topic, partition, offset) => this.#noteEnd(topic, partition, offset),
    });
    const transactionalId = transactionalIdOf(options);
    this.#transactions = new Transactions({ ...base, transactionalId, countersTopic, feed: this.#feed });
    this.#survey = new LogSurvey({
      admin,
      feed: this.#feed,
      topics: this.#topics.specs,
      plainTopics: options.plainTopics,
      groups: options.groups,
      logger,
      own: () => this.#transactions.committed,
    });
    this.#offsets = new GroupOffsets({ ...base, admin, feed: this.#feed, environment, survey: this.#survey });
    this.#reader = new PartitionReader({ ...base, admin });
  }

  start(): void {
    this.#feed.start();
  }

  partitionCount(topic: string): number {
    return this.#topics.partitionCount(topic);
  }

  /**
   * Appends alone are written as they come, with the offsets they got. Offsets and counters go with the appends in
   * one transaction, whose base offsets are -1: learning them would cost a call for each record.
   */
  async commit(commit: Commit): Promise<CommitResult> {
    this.#checkOpen();
    this.#topics.checkCommit(commit);
    assert((commit.marks?.byteLength ?? 0) === 0, 'marks have a store of their own beside Kafka');
    const { appends, counters = {}, offsets = [] } = commit;
    if (offsets.length === 0 && Object.keys(counters).length === 0) {
      return { baseOffsets: await this.#producer.commit(appends), position: 0 };
    }
    for (const append of appends) this.#willGrow(append);
    await this.#transactions.run({ commit: { appends, counters }, parts: () => this.#partsOf(offsets) });
    this.#survey.forget();
    return { baseOffsets: appends.map(() => -1), position: 0 };
  }

  draft(): CommitDraft {
    return new KafkaDraft({
      blocks: this.#blocks,
      checkPartition: (topic, partition) => this.#topics.checkPartition(topic, partition),
      commit: commit => this.commit(commit),
    });
  }

  async consume(group: string, topics: readonly string[], signal?: AbortSignal): Promise<Consumer> {
    this.#checkOpen();
    for (const topic of topics) this.partitionCount(topic);
    assert(!this.#members.has(group), 'a process is one member of a group');
    await unlessAborted(this.#prepare(group, topics), signal);
    const { connection, environment, requestMsMax, logger } = this.#options;
    const member = new GroupConsumer({
      client: this.#client,
      connection,
      admin: this.#admin,
      group,
      groupId: fullTopic(environment, group),
      topics,
      requestMsMax,
      logger,
      onClose: closed => this.#leave(closed),
      onRest: rested => this.#rest(rested),
    });
    this.#members.set(group, member);
    this.#left.delete(group);
    await member.start(signal);
    return member;
  }

  async #prepare(group: string, topics: readonly string[]): Promise<void> {
    await this.#transactions.start();
    await this.#offsets.restore(group, topics, rows => this.commit({ appends: [], offsets: rows }));
  }

  async read(
    topic: string,
    partition: number,
    fromOffset: number,
    recordsMax: number,
  ): Promise<readonly LogRecord[]> {
    this.#checkOpen();
    this.#topics.checkPartition(topic, partition);
    return this.#reader.read({ topic, partition }, fromOffset, recordsMax);
  }

  async describe(): Promise<LogState> {
    this.#checkOpen();
    const state = await this.#survey.describe();
    for (const { topic, partitions } of state.topics) {
      for (const { partition, endOffset } of partitions) this.#noteEnd(topic, partition, endOffset);
    }
    return state;
  }

  admission(): MillraceError | null {
    if (this.#isClosed) return new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
    return this.#health.check() ?? this.#producer.overload();
  }

  /** True when every group that counts has read everything that was there at the call. */
  async isIdle(): Promise<boolean> {
    this.#checkOpen();
    this.#survey.forget();
    const waiting = await this.#survey.waitingGroups();
    for (const group of waiting) {
      if ((await this.#options.hasRead?.(group)) !== true) return false;
    }
    return true;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#health.close();
    // First: a start may wait for it.
    await this.#feed.close();
    for (const member of [...this.#members.values()]) await member.close();
    await Promise.all([this.#producer.close(), this.#transactions.close(), this.#reader.close()]);
    await this.#offsets.close();
    await this.#admin.close();
  }

  /** Groups with members here go in the members' names; others are set from outside, once they are empty. */
  async #partsOf(offsets: readonly GroupOffset[]): Promise<readonly GroupPart[]> {
    const groups = Map.groupBy(offsets, row => row.group);
    const parts: GroupPart[] = [];
    for (const [group, rows] of groups) {
      if (this.#left.has(group)) {
        throw new MillraceError('ERR_LOG_FENCED', `this process left group ${group} with work open`);
      }
      const member = this.#members.get(group);
      parts.push(
        member === undefined ? await this.#offsets.setPart(group, rows) : this.#memberPart(member, rows),
      );
    }
    return parts;
  }

  #memberPart(member: GroupConsumer, offsets: readonly GroupOffset[]): GroupPart {
    const rowOf = (record: CounterRecord, row: GroupOffset): ProgressRow => {
      const epoch = this.#offsets.epochOf(row);
      const tenure = member.tenureOf(row);
      if (tenure === undefined) return [epoch, row.offset, row.offset];
      return memberRow(record, row, { epoch, count: tenure.countTo(row.offset) });
    };
    return {
      offsets,
      native: member.native,
      member,
      rows: record => offsets.map(row => rowOf(record, row)),
    };
  }

  /** Commits offsets past control records. A failure shows with the next commit of the process. */
  #rest(member: GroupConsumer): void {
    if (this.#options.unmovedGroups.includes(member.group)) return;
    const parts = () => {
      const offsets = member.restOffsets();
      return offsets.length === 0 ? [] : [this.#memberPart(member, offsets)];
    };
    this.#transactions.run({ commit: { appends: [] }, parts }).catch(() => {});
  }

  #leave(member: GroupConsumer): void {
    if (member.hasWork) this.#left.add(member.group);
    this.#members.delete(member.group);
  }

  #willGrow({ topic, partition, records }: Commit['appends'][number]): void {
    if (records.length === 0) return;
    for (const member of this.#members.values()) member.willGrow({ topic, partition });
  }

  #noteEnd(topic: string, partition: number, offset: number): void {
    for (const member of this.#members.values()) member.noteEnd({ topic, partition }, offset);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
  }
}

/** A wait that ends with the signal; what was waited for goes on by itself. */
async function unlessAborted(waited: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return waited;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    await Promise.race([waited, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    waited.catch(() => {});
  }
}
